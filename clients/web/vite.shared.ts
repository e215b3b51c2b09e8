import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import type { UserConfig } from 'vite'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const server = process.env.STOA_URL ?? 'http://127.0.0.1:8080'

/** Where sources are found, for builds and for tests. */
export const alias = { '@gen': here('../../gen/ts'), '@app': here('./app/src'), '@console': here('./console/src') }

/** What the builds of both apps have in common. */
export function appConfig(name: 'app' | 'console', base: string): UserConfig {
  return {
    root: here(`./${name}`),
    base,
    plugins: [vue()],
    resolve: {
      alias,
      // The generated code lies outside this folder and has no node_modules above it: its runtime is ours.
      dedupe: ['@bufbuild/protobuf', 'vue', 'vue-i18n'],
    },
    define: {
      __VUE_OPTIONS_API__: 'false',
      __VUE_PROD_DEVTOOLS__: 'false',
      __INTLIFY_PROD_DEVTOOLS__: 'false',
      __VUE_I18N_LEGACY_API__: 'false',
    },
    build: {
      target: 'es2022',
      // Beside a committed file, so that Go can embed the folder before the first build.
      outDir: here(`./dist/${name}`),
      emptyOutDir: true,
      // An inlined asset would be a data: address, which the Content-Security-Policy refuses.
      assetsInlineLimit: 0,
      reportCompressedSize: true,
    },
    server: {
      fs: { allow: [here('.'), here('../../gen/ts')] },
      // Apart from the pages, whose WebSockets go to the server.
      hmr: { path: '@hmr' },
      proxy: {
        // RPCs, playback and pictures belong to the server; pages and sources are ours.
        [`^${base}(?!@|src/|node_modules/|favicon\\.svg)`]: {
          target: server,
          ws: true,
          bypass: (request) => (request.headers.accept?.includes('text/html') ? `${base}index.html` : undefined),
        },
        ...(base === '/' ? {} : { '^/(stoa\\.|edge/|live/|auth/)': { target: server, ws: true } }),
      },
    },
  }
}
