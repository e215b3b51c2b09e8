import { effectScope, ref, watch, type Ref } from 'vue'

const known = new Map<string, Ref<boolean>>()
/** Preferences outlive the components that ask for them. */
const scope = effectScope(true)

/** A yes or no of this browser's, kept for later visits; the same one for all who ask for it. */
export function usePreference(name: string, initial: boolean): Ref<boolean> {
  const asked = known.get(name)
  if (asked) return asked
  const key = `stoa.${name}`
  const value = ref(load(key) ?? initial)
  known.set(name, value)
  scope.run(() => watch(value, (next) => {
    try {
      localStorage.setItem(key, String(next))
    } catch {
      // It holds for this visit.
    }
  }))
  return value
}

function load(key: string): boolean | undefined {
  try {
    const stored = localStorage.getItem(key)
    return stored === null ? undefined : stored === 'true'
  } catch {
    return undefined
  }
}
