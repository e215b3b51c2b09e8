import { readonly, ref, type Ref } from 'vue'

/** What the reader chose; `system` follows the machine. */
export type Theme = 'system' | 'light' | 'dark'

const THEME_KEY = 'stoa.theme'
const isTheme = (value: unknown): value is Theme => value === 'system' || value === 'light' || value === 'dark'

function load(): Theme {
  try {
    const chosen = localStorage.getItem(THEME_KEY)
    return isTheme(chosen) ? chosen : 'system'
  } catch {
    return 'system'
  }
}

const chosen = ref<Theme>(load())

/** Puts the choice on the document; tokens.css does the rest. */
function apply(): void {
  if (chosen.value === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = chosen.value
  // The browser's own bars follow the system by two elements; a choice goes before both.
  const bars = [...document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')]
  const colours = bars.map((bar) => (bar.dataset.own ??= bar.content))
  const dark = bars.findIndex((bar) => bar.media.includes('dark'))
  const light = bars.findIndex((bar) => bar.media.includes('light'))
  const forced = chosen.value === 'system' ? undefined : colours[chosen.value === 'dark' ? dark : light]
  bars.forEach((bar, i) => (bar.content = forced ?? colours[i] ?? bar.content))
}

export const theme: Readonly<Ref<Theme>> = readonly(chosen)

/** Changes the appearance now, in every tab, and for later visits. */
export function setTheme(next: Theme): void {
  chosen.value = next
  apply()
  try {
    localStorage.setItem(THEME_KEY, next)
  } catch {
    // It holds for this visit.
  }
}

/** Applies the stored choice; called once, before anything is drawn. */
export function startTheme(): void {
  apply()
  window.addEventListener('storage', (event) => {
    if (event.key !== null && event.key !== THEME_KEY) return
    chosen.value = load()
    apply()
  })
}
