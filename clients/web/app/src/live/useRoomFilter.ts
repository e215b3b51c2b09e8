import { useDebounceFn } from '@vueuse/core'
import { computed, ref, watch } from 'vue'
import { useRoute, useRouter, type LocationQuery } from 'vue-router'

/** The schema's limit of a search. */
const longest = 80
const debounceMs = 250

const first = (query: LocationQuery, name: string): string => {
  const value = query[name]
  return (Array.isArray(value) ? value[0] : value)?.trim() ?? ''
}

/** What the home page is asked to show. It lives in the page's address, so that it can be shared and gone back to. */
export function useRoomFilter() {
  const route = useRoute()
  const router = useRouter()
  const categoryId = computed(() => first(route.query, 'category').slice(0, 32))
  const query = computed(() => Array.from(first(route.query, 'q')).slice(0, longest).join(''))
  /** What stands in the search field, ahead of the address while somebody types. */
  const typed = ref(query.value)

  async function search(text: string): Promise<void> {
    const q = text.trim() || undefined
    if ((q ?? '') !== query.value) await router.replace({ query: { ...route.query, q } })
  }
  const searchSoon = useDebounceFn(search, debounceMs)
  watch(typed, (text) => void (text.trim() === '' ? search('') : searchSoon(text)))
  // Back and forward change the address under the field.
  watch(query, (now) => {
    if (now !== typed.value.trim()) typed.value = now
  })

  return {
    categoryId,
    query,
    typed,
    filter: () => ({ categoryId: categoryId.value, query: query.value }),
    /** The address of a category, keeping what is searched for. */
    linkTo: (id: string) => ({ name: 'home', query: { ...route.query, category: id || undefined } }),
    clear: async () => {
      typed.value = ''
      await router.replace({ name: 'home' })
    },
  }
}
