import { createI18n, type DefineLocaleMessage } from 'vue-i18n'
import { en as sharedEn, type SharedMessages } from './en'
import { zh as sharedZh } from './zh'

declare module 'vue-i18n' {
  // Makes every key that does not exist a type error. Each app adds its own words to it.
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  export interface DefineLocaleMessage extends SharedMessages {}
}

export type Locale = 'en' | 'zh'
export const locales: readonly { id: Locale; name: string }[] = [
  { id: 'en', name: 'English' },
  { id: 'zh', name: '简体中文' },
]
const LOCALE_KEY = 'stoa.locale'

function firstLocale(): Locale {
  try {
    const chosen = localStorage.getItem(LOCALE_KEY)
    if (chosen === 'en' || chosen === 'zh') return chosen
  } catch {
    // No memory: the browser's language decides.
  }
  const known = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag === 'en' || tag === 'zh')
  return known ?? 'en'
}

const sayLanguage = (locale: Locale): string => (document.documentElement.lang = locale === 'zh' ? 'zh-CN' : 'en')

/** The words of one app in both languages, together with those that the apps share. */
export function createLanguages<Own extends object>(own: Record<Locale, Own>) {
  const first = firstLocale()
  sayLanguage(first)
  // The words are checked against each other by differences(), and their keys where they are used.
  const i18n = createI18n<[DefineLocaleMessage], Locale, false>({
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- this version still defaults to the old interface
    legacy: false,
    locale: first,
    fallbackLocale: 'en',
    messages: { en: { ...sharedEn, ...own.en } as unknown as DefineLocaleMessage, zh: { ...sharedZh, ...own.zh } as unknown as DefineLocaleMessage },
  })

  /** Changes the language now and for later visits. */
  function setLocale(locale: Locale): void {
    i18n.global.locale.value = locale
    sayLanguage(locale)
    try {
      localStorage.setItem(LOCALE_KEY, locale)
    } catch {
      // It holds for this visit.
    }
  }

  return { i18n, setLocale }
}
