import { timestampMs } from '@bufbuild/protobuf/wkt'
import type { Broadcast, Room, StreamStats, Warning } from '@gen/stoa/live/v1/live_pb'
import { computed, ref, shallowRef } from 'vue'
import { live } from '@app/api'
import { errorReason } from '@stoa/shared/api/errors'
import { isOnAir, phaseOf } from '@stoa/shared/lib/broadcast'
import { usePolling } from '@stoa/shared/lib/usePolling'
import { adviseOn } from './advice'
import { sampleOf, withSample, type HealthSample } from './health'

const roomEveryMs = 2_000
const statsEveryMs = 1_000

/** One own room before, during and after a broadcast: its state, and what arrives from the encoder. */
export function useStudio(own: Room) {
  const roomId = own.id
  const room = shallowRef(own)
  const broadcast = shallowRef<Broadcast>()
  const warning = shallowRef<Warning>()
  const stats = shallowRef<StreamStats>()
  const samples = shallowRef<readonly HealthSample[]>([])
  const error = shallowRef<unknown>()
  const isLoaded = ref(false)
  const viewerCount = ref(0)
  /** What a call of before told is overtaken by what an event told since. */
  let told = 0

  async function readRoom(): Promise<void> {
    const asked = told
    try {
      const answer = await live.getRoom({ roomId })
      if (answer.room) room.value = answer.room
      warning.value = answer.warning
      if (asked === told) apply(answer.broadcast)
      viewerCount.value = answer.broadcast?.viewerCount ?? 0
      error.value = undefined
      isLoaded.value = true
    } catch (failure) {
      error.value = failure
    }
  }

  async function readStats(): Promise<void> {
    if (!isOnAir(broadcast.value)) return
    try {
      const answer = await live.getStreamStats({ roomId })
      stats.value = answer.stats
      // While the encoder is away, nothing arrives that could be judged.
      if (answer.stats && phaseOf(broadcast.value) === 'live') samples.value = withSample(samples.value, sampleOf(answer.stats, Date.now()))
    } catch (failure) {
      // The broadcast ended between the two calls; anything else is said by the room's own polling.
      if (errorReason(failure) === 'NOT_LIVE') void refresh()
    }
  }

  function apply(next: Broadcast | undefined): void {
    if (next?.id !== broadcast.value?.id) samples.value = []
    broadcast.value = next
    if (!isOnAir(next)) stats.value = undefined
  }

  const refresh = usePolling(readRoom, roomEveryMs, { whileHidden: true })
  usePolling(readStats, statsEveryMs, { whileHidden: true })

  return {
    room,
    broadcast,
    warning,
    stats,
    samples,
    advice: computed(() => adviseOn(samples.value)),
    error,
    isLoaded,
    viewerCount,
    phase: computed(() => phaseOf(broadcast.value)),
    startedMs: computed(() => (broadcast.value?.startedAt ? timestampMs(broadcast.value.startedAt) : undefined)),
    refresh,
    /** Takes over what the chat's stream told, ahead of the next refresh. */
    apply: (next: Broadcast): void => {
      told++
      apply(next)
    },
    /** Takes over a room that was changed. */
    putRoom: (next: Room) => (room.value = next),
    end: async (): Promise<void> => {
      told++
      apply((await live.endBroadcast({ roomId })).broadcast)
      await refresh()
    },
    acknowledge: async (): Promise<void> => {
      const warningId = warning.value?.id
      if (!warningId) return
      try {
        await live.acknowledgeWarning({ roomId, warningId })
        warning.value = undefined
      } catch (failure) {
        // Another one took its place, or another tab was quicker.
        if (errorReason(failure) !== 'WARNING_NOT_FOUND') throw failure
      }
      await refresh()
    },
  }
}

export type StudioHandle = ReturnType<typeof useStudio>
