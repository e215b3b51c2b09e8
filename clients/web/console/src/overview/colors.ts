import { onScopeDispose, ref, watch } from 'vue'
import { theme } from '@stoa/shared/lib/theme'

const names = ['accent', 'danger', 'text', 'text-2', 'line', 'surface'] as const
export type ColorName = (typeof names)[number]
export type Colors = Record<ColorName, string>

/** What tokens are as colours now: a canvas knows no variables. */
function read(): Colors {
  const probe = document.createElement('span')
  document.body.append(probe)
  const colors = Object.fromEntries(
    names.map((name) => {
      probe.style.color = `var(--${name})`
      return [name, getComputedStyle(probe).color]
    }),
  ) as Colors
  probe.remove()
  return colors
}

/** The tokens' colours, read anew when the appearance changes. */
export function useColors() {
  const colors = ref(read())
  const update = (): void => void (colors.value = read())
  const dark = matchMedia('(prefers-color-scheme: dark)')
  dark.addEventListener('change', update)
  watch(theme, update, { flush: 'post' })
  onScopeDispose(() => dark.removeEventListener('change', update))
  return colors
}
