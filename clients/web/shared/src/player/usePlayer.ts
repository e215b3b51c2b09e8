import { BroadcastState, type Playback } from '@gen/stoa/live/v1/live_pb'
import { computed, onScopeDispose, readonly, ref, watch, type Ref } from 'vue'
import type { EngineKind } from './addresses'
import { runPlayback, type PlaybackStatus } from './playback'

export interface PlayerInput {
  broadcastState: Ref<BroadcastState>
  takePlayback: () => Promise<Playback | undefined>
}

/** Plays a room's broadcast in a video element for as long as it is on the air. */
export function usePlayer(video: Readonly<Ref<HTMLVideoElement | null>>, { broadcastState, takePlayback }: PlayerInput) {
  const status = ref<PlaybackStatus>('idle')
  const engine = ref<EngineKind>()
  const latency = ref<number>()
  const lastEnd = ref<string>()
  let abort = new AbortController()
  // Runs take turns: the one before must have let go of the video element.
  let turn = Promise.resolve()

  // An interrupted broadcast keeps its connections: the picture goes on in them when the encoder returns.
  const onAir = computed(
    () => broadcastState.value === BroadcastState.LIVE || broadcastState.value === BroadcastState.INTERRUPTED,
  )

  watch(
    [video, onAir] as const,
    ([element, wanted]) => {
      abort.abort()
      if (!element || !wanted) {
        status.value = 'idle'
        engine.value = latency.value = undefined
        return
      }
      const own = (abort = new AbortController())
      const current = <T>(target: Ref<T>) => (value: T): void => {
        if (!own.signal.aborted) target.value = value
      }
      const deps = {
        video: element,
        takePlayback,
        expectsMedia: () => broadcastState.value === BroadcastState.LIVE,
        onStatus: current(status),
        onEngine: current(engine),
        onLatency: current(latency),
        onEnd: current(lastEnd),
      }
      turn = turn.then(() => runPlayback(deps, own.signal))
    },
    { immediate: true, flush: 'post' },
  )
  onScopeDispose(() => abort.abort())

  return { status: readonly(status), engine: readonly(engine), latency: readonly(latency), lastEnd: readonly(lastEnd) }
}
