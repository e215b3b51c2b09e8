import { createLanguages } from '@stoa/shared/i18n/languages'
import { en, zh, type ConsoleMessages } from './words'

declare module 'vue-i18n' {
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  export interface DefineLocaleMessage extends ConsoleMessages {}
}

export const { i18n, setLocale } = createLanguages({ en, zh })
