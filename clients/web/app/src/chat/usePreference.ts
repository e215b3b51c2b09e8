import { ref, watch, type Ref } from 'vue'

/** A yes or no of this browser's, kept for later visits. */
export function usePreference(name: string, initial: boolean): Ref<boolean> {
  const key = `stoa.${name}`
  const value = ref(load(key) ?? initial)
  watch(value, (next) => {
    try {
      localStorage.setItem(key, String(next))
    } catch {
      // It holds for this visit.
    }
  })
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
