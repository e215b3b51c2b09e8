import { defineConfig } from 'vitest/config'
import vue from '@vitejs/plugin-vue'
import { alias } from './vite.shared.ts'

export default defineConfig({
  plugins: [vue()],
  resolve: { alias, dedupe: ['@bufbuild/protobuf', 'vue', 'vue-i18n'] },
  test: { include: ['{shared,app,console}/src/**/*.test.ts'], environment: 'node' },
})
