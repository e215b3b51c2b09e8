import type { Broadcast } from '@gen/stoa/live/v1/live_pb'
import { BroadcastState } from '@gen/stoa/live/v1/live_pb'
import { computed, ref, shallowRef, watch, type Ref } from 'vue'
import { live } from '@app/api'

const pageSize = 10

/** What was on the air in one room before, newest first. Read again whenever `epoch` changes. */
export function useBroadcasts(roomId: string, epoch: Ref<unknown>) {
  const all = shallowRef<readonly Broadcast[]>([])
  const status = ref<'loading' | 'ready' | 'error'>('loading')
  const error = shallowRef<unknown>()
  let nextPage = ''
  const hasMore = ref(false)

  async function read(pageToken: string): Promise<void> {
    try {
      const answer = await live.listBroadcasts({ roomId, pageSize, pageToken })
      const before = pageToken ? all.value : []
      all.value = [...before, ...answer.broadcasts.filter(({ id }) => !before.some((known) => known.id === id))]
      nextPage = answer.nextPageToken
      hasMore.value = nextPage !== ''
      status.value = 'ready'
      error.value = undefined
    } catch (failure) {
      error.value = failure
      if (all.value.length === 0) status.value = 'error'
    }
  }

  watch(epoch, () => void read(''), { immediate: true })
  return {
    ended: computed(() => all.value.filter(({ state }) => state === BroadcastState.ENDED)),
    status,
    error,
    hasMore,
    more: () => read(nextPage),
    reload: () => read(''),
  }
}
