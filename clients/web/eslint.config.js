import js from '@eslint/js'
import vue from 'eslint-plugin-vue'
import globals from 'globals'
import ts from 'typescript-eslint'

export default ts.config(
  { ignores: ['dist/', 'node_modules/'] },
  js.configs.recommended,
  {
    files: ['*/src/**/*.{ts,vue}'],
    extends: [...ts.configs.strictTypeChecked, ...ts.configs.stylisticTypeChecked, ...vue.configs['flat/recommended']],
    languageOptions: {
      globals: globals.browser,
      parserOptions: {
        parser: ts.parser,
        projectService: true,
        tsconfigRootDir: import.meta.dirname,
        extraFileExtensions: ['.vue'],
      },
    },
    rules: {
      // A component's look is one line an attribute only where that reads better.
      'vue/max-attributes-per-line': 'off',
      'vue/singleline-html-element-content-newline': 'off',
      'vue/html-self-closing': ['error', { html: { void: 'always', normal: 'always', component: 'always' } }],
      'vue/no-static-inline-styles': 'error',
      'vue/no-v-html': 'error',
      'vue/block-order': ['error', { order: ['script', 'template', 'style'] }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'max-lines': ['error', { max: 200 }],
    },
  },
  { files: ['*/src/i18n/*.ts', '*/src/**/*.test.ts'], rules: { 'max-lines': 'off' } },
  { files: ['*/src/**/*.ts'], rules: { 'no-undef': 'off' } },
  { files: ['*/src/**/*.vue'], rules: { 'no-undef': 'off' } },
  { files: ['{e2e,bench}/**/*.mjs', '*.mjs', '*.js', '*.ts', '*/*.ts'], languageOptions: { globals: { ...globals.node, ...globals.browser } } },
  { files: ['*.ts', '*/*.ts'], extends: [...ts.configs.strict] },
)
