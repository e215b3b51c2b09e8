import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const server = process.env.STOA_URL ?? 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [vue()],
  resolve: {
    alias: { '@gen': here('../../gen/ts'), '@': here('./src') },
    // The generated code lies outside this folder and has no node_modules above it: its runtime is ours.
    dedupe: ['@bufbuild/protobuf'],
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
    outDir: 'dist/app',
    // An inlined asset would be a data: address, which the Content-Security-Policy refuses.
    assetsInlineLimit: 0,
    reportCompressedSize: true,
  },
  server: {
    fs: { allow: [here('.'), here('../../gen/ts')] },
    proxy: {
      // RPCs, playback and covers belong to the server; pages and sources are ours.
      '^/(?!@|src/|node_modules/|favicon\\.svg)': {
        target: server,
        ws: true,
        bypass: (request) => (request.headers.accept?.includes('text/html') ? '/index.html' : undefined),
      },
    },
  },
  test: {
    include: ['src/**/*.test.ts'],
    environment: 'node',
  },
})
