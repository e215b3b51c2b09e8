import { createI18n } from 'vue-i18n'
import { en, type Messages } from './en'
import { zh } from './zh'

declare module 'vue-i18n' {
  // Makes every key that does not exist a type error.
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  export interface DefineLocaleMessage extends Messages {}
}

export type Locale = 'en' | 'zh'
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

export const i18n = createI18n<[Messages], Locale, false>({
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- this version still defaults to the old interface
  legacy: false,
  locale: firstLocale(),
  fallbackLocale: 'en',
  messages: { en, zh },
})

/** Changes the language now and for later visits. */
export function setLocale(locale: Locale): void {
  i18n.global.locale.value = locale
  document.documentElement.lang = locale === 'zh' ? 'zh-CN' : 'en'
  try {
    localStorage.setItem(LOCALE_KEY, locale)
  } catch {
    // It holds for this visit.
  }
}

document.documentElement.lang = i18n.global.locale.value === 'zh' ? 'zh-CN' : 'en'
