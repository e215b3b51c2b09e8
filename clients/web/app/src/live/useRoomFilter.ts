import { computed, onScopeDispose, ref, watch } from 'vue'
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
  let timer: ReturnType<typeof setTimeout> | undefined
  const forget = (): void => clearTimeout(timer)

  async function search(text: string): Promise<void> {
    const q = text.trim() || undefined
    if ((q ?? '') !== query.value) await router.replace({ query: { ...route.query, q } })
  }
  watch(typed, (text) => {
    forget()
    if (text.trim() === '') void search('')
    else timer = setTimeout(() => void search(text), debounceMs)
  })
  // Back and forward change the address under the field.
  watch(query, (now) => {
    if (now !== typed.value.trim()) typed.value = now
  })
  // Who leaves for another page takes no search along, also while that page is on its way.
  onScopeDispose(router.beforeEach((to) => {
    if (to.name !== 'home') forget()
  }))
  onScopeDispose(forget)

  return {
    categoryId,
    query,
    typed,
    filter: () => ({ categoryId: categoryId.value, query: query.value }),
    /** The address of a category, keeping what is searched for. */
    linkTo: (id: string) => ({ name: 'home', query: { ...route.query, category: id || undefined } }),
    clear: async () => {
      forget()
      await router.replace({ name: 'home' })
      typed.value = ''
    },
  }
}
