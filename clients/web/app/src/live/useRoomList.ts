import type { ListRoomsResponse_Item } from '@gen/stoa/live/v1/live_service_pb'
import { computed, onScopeDispose, ref, shallowRef, watch } from 'vue'
import { live } from '@app/api'
import { isOnAir } from '@stoa/shared/lib/broadcast'
import { usePolling } from '@stoa/shared/lib/usePolling'

const refreshMs = 10_000
const pageSize = 48

export interface RoomFilter {
  /** Empty for all. */
  categoryId: string
  /** Part of a title or a streamer's name; empty for all. */
  query: string
}

/** The rooms of a filter, those on the air first, kept right while the page is visible. */
export function useRoomList(filter: () => RoomFilter) {
  const items = shallowRef<readonly ListRoomsResponse_Item[]>([])
  const status = ref<'loading' | 'ready' | 'error'>('loading')
  const error = shallowRef<unknown>()
  const hasMore = ref(false)
  /** True while what is shown belongs to the filter before. */
  const stale = ref(false)
  let pages = 1
  let request = new AbortController()

  const keyOf = ({ categoryId, query }: RoomFilter): string => `${categoryId} ${query}`

  async function read({ categoryId, query }: RoomFilter, signal: AbortSignal): Promise<void> {
    const found = new Map<string, ListRoomsResponse_Item>()
    let pageToken = ''
    for (let page = 0; page < pages; page++) {
      const answer = await live.listRooms({ pageSize, pageToken, categoryId, query }, { signal })
      // A room may move from one page to the next between two calls.
      for (const item of answer.items) if (item.room) found.set(item.room.id, item)
      pageToken = answer.nextPageToken
      if (!pageToken) break
    }
    hasMore.value = pageToken !== ''
    items.value = [...found.values()]
  }

  async function load(): Promise<void> {
    for (;;) {
      const asked = filter()
      request = new AbortController()
      let failure: unknown
      try {
        await read(asked, request.signal)
      } catch (thrown) {
        failure = thrown
      }
      // Something else was asked for in the meantime.
      if (keyOf(asked) !== keyOf(filter())) continue
      error.value = failure
      if (failure === undefined) status.value = 'ready'
      // What was there before is better than nothing, unless it answers another question.
      else if (items.value.length === 0 || stale.value) status.value = 'error'
      stale.value = false
      return
    }
  }

  const reload = usePolling(load, refreshMs)
  watch(() => keyOf(filter()), () => {
    pages = 1
    stale.value = true
    request.abort()
    void reload()
  })
  onScopeDispose(() => request.abort())

  return {
    onAir: computed(() => items.value.filter((item) => isOnAir(item.broadcast))),
    offAir: computed(() => items.value.filter((item) => !isOnAir(item.broadcast))),
    status,
    error,
    stale,
    hasMore,
    reload,
    more: async () => {
      pages++
      await reload()
    },
  }
}
