import { computed } from 'vue'
import { useRoute, useRouter } from 'vue-router'

/** Filters that stand in the address, so that going back, reloading and sharing keep them. Empty ones are left out. */
export function useQuery<Name extends string>(...names: Name[]) {
  const route = useRoute()
  const router = useRouter()
  const values = computed(() => {
    const read = (name: Name): string => {
      const value = route.query[name]
      return typeof value === 'string' ? value : ''
    }
    return Object.fromEntries(names.map((name) => [name, read(name)])) as Record<Name, string>
  })

  function set(changes: Partial<Record<Name, string>>): void {
    const query = { ...route.query, ...changes }
    void router.replace({ query: Object.fromEntries(Object.entries(query).filter(([, value]) => value)) })
  }
  return { values, set }
}
