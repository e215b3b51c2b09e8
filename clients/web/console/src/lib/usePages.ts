import { errorReason } from '@stoa/shared/api/errors'
import { computed, ref } from 'vue'
import { useLoad } from './useLoad'

export interface Page<Item> {
  items: Item[]
  nextPageToken: string
}

/** A list of which one page is shown: forward by the server's tokens, back by those remembered. */
export function usePages<Item>(read: (pageToken: string, signal: AbortSignal) => Promise<Page<Item>>, everyMs = 0) {
  const tokens = ref([''])

  const { data, error, busy, reload } = useLoad(async (signal) => {
    try {
      return await read(tokens.value.at(-1) ?? '', signal)
    } catch (failure) {
      if (errorReason(failure) !== 'PAGE_TOKEN_INVALID') throw failure
      tokens.value = ['']
      return read('', signal)
    }
  }, everyMs)

  return {
    items: computed(() => data.value?.items),
    error,
    busy,
    reload,
    page: computed(() => tokens.value.length),
    hasNext: computed(() => Boolean(data.value?.nextPageToken)),
    first(): Promise<void> {
      tokens.value = ['']
      return reload()
    },
    next(): void {
      if (!data.value?.nextPageToken) return
      tokens.value = [...tokens.value, data.value.nextPageToken]
      void reload()
    },
    back(): void {
      if (tokens.value.length < 2) return
      tokens.value = tokens.value.slice(0, -1)
      void reload()
    },
  }
}

export type Pages<Item> = ReturnType<typeof usePages<Item>>
