/// <reference types="vite/client" />

// vue-tsc knows each component; the linter's type checker takes them all as components.
declare module '*.vue' {
  import type { DefineComponent } from 'vue'

  const component: DefineComponent
  export default component
}

// The light build has the full build's interface, without what live video does not use.
declare module 'hls.js/light' {
  export { default, Events, ErrorTypes } from 'hls.js'
}
