import type { Category } from '@gen/stoa/live/v1/live_pb'
import { computed, shallowRef } from 'vue'
import { useI18n } from 'vue-i18n'
import { live } from '@app/api'

// Categories change with the server's release, not while a page is open.
const categories = shallowRef<readonly Category[]>([])
let loading: Promise<void> | undefined

async function load(): Promise<void> {
  try {
    categories.value = (await live.listCategories({ pageSize: 100 })).categories
  } catch (error) {
    loading = undefined
    throw error
  }
}

/** The categories and their names in the reader's language. */
export function useCategories() {
  const { locale } = useI18n()
  loading ??= load()
  loading.catch(() => undefined)
  return {
    categories: computed(() =>
      categories.value.map(({ id, name, nameZh }) => ({ id, name: locale.value === 'zh' && nameZh ? nameZh : name })),
    ),
    nameOf: (id: string) => {
      const category = categories.value.find((candidate) => candidate.id === id)
      if (!category) return id
      return locale.value === 'zh' && category.nameZh ? category.nameZh : category.name
    },
  }
}
