import { computed, reactive, readonly, ref, toRefs, type ComputedRef } from 'vue'
import { areas, densities, sizes, type Area, type Density, type Size } from './layout'

export interface DanmakuChoice {
  /** Unset until the viewer has chosen: then the system decides. */
  on?: boolean
  /** From MIN_OPACITY to 1. */
  opacity: number
  size: Size
  area: Area
  density: Density
}

export const MIN_OPACITY = 0.2
const KEY = 'stoa.danmaku'
const initial: DanmakuChoice = { opacity: 0.9, size: 'medium', area: 'half', density: 'medium' }

/** Reads what was remembered; anything that is not a choice of today is left at its first value. */
export function parseChoice(stored: string | null): DanmakuChoice {
  let found: Partial<Record<keyof DanmakuChoice, unknown>> = {}
  try {
    found = Object(JSON.parse(stored ?? '{}')) as typeof found
  } catch {
    // Damaged, or of another program.
  }
  const oneOf = <T>(options: readonly T[], value: unknown, otherwise: T): T => options.find((option) => option === value) ?? otherwise
  const opacity = typeof found.opacity === 'number' && Number.isFinite(found.opacity) ? found.opacity : initial.opacity
  return {
    ...(typeof found.on === 'boolean' ? { on: found.on } : {}),
    opacity: Math.min(1, Math.max(MIN_OPACITY, opacity)),
    size: oneOf(sizes, found.size, initial.size),
    area: oneOf(areas, found.area, initial.area),
    density: oneOf(densities, found.density, initial.density),
  }
}

function load(): DanmakuChoice {
  try {
    return parseChoice(localStorage.getItem(KEY))
  } catch {
    return { ...initial }
  }
}

interface Shared {
  choice: DanmakuChoice
  /** The system asks for less motion. */
  calm: Readonly<ReturnType<typeof ref<boolean>>>
  on: ComputedRef<boolean>
}
let shared: Shared | undefined

/** One choice for every picture of this tab; other tabs' changes are taken over. */
function start(): Shared {
  const choice = reactive(load())
  const motion = matchMedia('(prefers-reduced-motion: reduce)')
  const calm = ref(motion.matches)
  motion.addEventListener('change', () => (calm.value = motion.matches))
  window.addEventListener('storage', ({ key }) => {
    if (key === KEY || key === null) Object.assign(choice, { on: undefined }, load())
  })
  return { choice, calm: readonly(calm), on: computed(() => choice.on ?? !calm.value) }
}

/** How messages fly over the picture: the viewer's choice, remembered. */
export function useDanmaku() {
  const { choice, calm, on } = (shared ??= start())

  function change(changes: Partial<DanmakuChoice>): void {
    Object.assign(choice, changes)
    try {
      localStorage.setItem(KEY, JSON.stringify(choice))
    } catch {
      // It holds for this visit.
    }
  }

  return {
    ...toRefs(readonly(choice)),
    on,
    /** Off because the system asks for less motion and the viewer has not said otherwise. */
    offForCalm: computed(() => calm.value === true && choice.on === undefined),
    change,
    toggle: () => change({ on: !on.value }),
  }
}
