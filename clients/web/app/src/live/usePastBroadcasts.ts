import { BroadcastState, type Broadcast } from '@gen/stoa/live/v1/live_pb'
import { onScopeDispose, shallowRef, watch } from 'vue'
import { live } from '@app/api'
import type { RoomPhase } from '@stoa/shared/lib/broadcast'

/** The running one may be among them. */
const most = 6

/** A room's last broadcasts that are over; looked up again whenever one ends. They are extra: without them the room works. */
export function usePastBroadcasts(roomId: string, phase: () => RoomPhase) {
  const past = shallowRef<readonly Broadcast[]>([])
  const abort = new AbortController()

  async function load(): Promise<void> {
    try {
      const { broadcasts } = await live.listBroadcasts({ roomId, pageSize: most }, { signal: abort.signal })
      past.value = broadcasts.filter(({ state }) => state === BroadcastState.ENDED).slice(0, most - 1)
    } catch {
      // What was there before stays.
    }
  }

  watch(phase, (now, before) => {
    if (before === undefined || now === 'ended' || before === 'ended') void load()
  }, { immediate: true })
  onScopeDispose(() => abort.abort())
  return past
}
