import type { ListRoomsResponse_Item } from '@gen/stoa/live/v1/live_service_pb'
import { computed, ref, shallowRef } from 'vue'
import { live } from '@app/api'
import { usePolling } from '@stoa/shared/lib/usePolling'
import { isOnAir } from '@stoa/shared/lib/broadcast'

const refreshMs = 10_000
const pageSize = 48

/** All rooms, those on the air first, kept right while the page is visible. */
export function useRoomList() {
  const items = shallowRef<readonly ListRoomsResponse_Item[]>([])
  const status = ref<'loading' | 'ready' | 'error'>('loading')
  const error = shallowRef<unknown>()
  const hasMore = ref(false)
  let pages = 1

  async function load(): Promise<void> {
    try {
      const found = new Map<string, ListRoomsResponse_Item>()
      let pageToken = ''
      for (let page = 0; page < pages; page++) {
        const answer = await live.listRooms({ pageSize, pageToken })
        // A room may move from one page to the next between two calls.
        for (const item of answer.items) if (item.room) found.set(item.room.id, item)
        pageToken = answer.nextPageToken
        if (!pageToken) break
      }
      hasMore.value = pageToken !== ''
      items.value = [...found.values()]
      status.value = 'ready'
      error.value = undefined
    } catch (failure) {
      error.value = failure
      // What was there before is better than nothing.
      if (items.value.length === 0) status.value = 'error'
    }
  }

  const reload = usePolling(load, refreshMs)

  return {
    onAir: computed(() => items.value.filter((item) => isOnAir(item.broadcast))),
    offAir: computed(() => items.value.filter((item) => !isOnAir(item.broadcast))),
    status,
    error,
    hasMore,
    reload,
    more: async () => {
      pages++
      await reload()
    },
  }
}
