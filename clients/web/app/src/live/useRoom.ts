import { Code, ConnectError } from '@connectrpc/connect'
import { BroadcastState, type Broadcast, type Playback, type Room } from '@gen/stoa/live/v1/live_pb'
import { computed, onScopeDispose, ref, shallowRef } from 'vue'
import { live } from '@app/api'
import { backoffMs } from '@stoa/shared/lib/backoff'
import { isAborted, sleep } from '@stoa/shared/lib/sleep'
import { phaseOf } from '@stoa/shared/lib/broadcast'

/** Signed addresses are for at once; older ones are asked for anew. */
const playbackFreshMs = 5_000

/** One room as it is now: loaded at first, then kept right by refresh() and by what the room's events tell. */
export function useRoom(roomId: string) {
  const room = shallowRef<Room>()
  const broadcast = shallowRef<Broadcast>()
  const status = ref<'loading' | 'ready' | 'missing' | 'error'>('loading')
  const error = shallowRef<unknown>()
  const viewerCount = ref(0)
  const abort = new AbortController()
  let unused: { playback: Playback; atMs: number } | undefined
  let newestRequest = 0

  async function refresh(): Promise<void> {
    const request = ++newestRequest
    const answer = await live.getRoom({ roomId }, { signal: abort.signal })
    // An answer that was overtaken tells of the past.
    if (request !== newestRequest) return
    room.value = answer.room
    broadcast.value = answer.broadcast
    viewerCount.value = answer.broadcast?.viewerCount ?? viewerCount.value
    unused = answer.playback && { playback: answer.playback, atMs: Date.now() }
    status.value = 'ready'
    error.value = undefined
  }

  /** Loads the room, coming back until it is there or known not to be. */
  async function load(): Promise<void> {
    for (let attempt = 0; !isAborted(abort.signal); attempt++) {
      try {
        await refresh()
        return
      } catch (failure) {
        if (isAborted(abort.signal)) return
        const { code } = ConnectError.from(failure)
        error.value = failure
        status.value = code === Code.NotFound || code === Code.InvalidArgument ? 'missing' : 'error'
        if (status.value === 'missing') return
      }
      await sleep(backoffMs(attempt, { firstMs: 1_000, maxMs: 15_000 }), abort.signal)
    }
  }

  /** Addresses for one connection: those of the last refresh when they are fresh and unused, else new ones. */
  async function takePlayback(): Promise<Playback | undefined> {
    if (!unused || Date.now() - unused.atMs > playbackFreshMs) await refresh()
    const taken = unused?.playback
    unused = undefined
    return taken
  }

  /** Takes over what an event told, ahead of the next refresh. */
  function apply(told: Broadcast): void {
    broadcast.value = told
  }

  onScopeDispose(() => abort.abort())
  void load()

  return {
    room,
    broadcast,
    status,
    error,
    viewerCount,
    phase: computed(() => phaseOf(broadcast.value)),
    broadcastState: computed(() => broadcast.value?.state ?? BroadcastState.UNSPECIFIED),
    refresh,
    takePlayback,
    apply,
  }
}

export type RoomHandle = ReturnType<typeof useRoom>
