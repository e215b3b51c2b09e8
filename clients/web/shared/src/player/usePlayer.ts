import { BroadcastState, type Playback } from '@gen/stoa/live/v1/live_pb'
import { computed, onScopeDispose, readonly, ref, shallowRef, watch, type Ref } from 'vue'
import type { EngineKind } from './addresses'
import { runPlayback, type PlaybackStatus } from './playback'

/** In seconds. HLS is some segments behind by its nature. */
const farBehind: Record<EngineKind, number> = { 'ws-flv': 2.5, hls: 12 }

export interface PlayerInput {
  broadcastState: Ref<BroadcastState>
  takePlayback: () => Promise<Playback | undefined>
  /** Called before the video element loses its picture. */
  onLetGo?: () => void
}

/** Plays a room's broadcast in a video element for as long as it is on the air. */
export function usePlayer(video: Readonly<Ref<HTMLVideoElement | null>>, { broadcastState, takePlayback, onLetGo }: PlayerInput) {
  const status = ref<PlaybackStatus>('idle')
  const engine = ref<EngineKind>()
  const latency = ref<number>()
  const bitrate = ref<number>()
  const stalled = ref(false)
  const jump = shallowRef<() => void>()
  const lastEnd = ref<string>()
  let abort = new AbortController()
  // Runs take turns: the one before must have let go of the video element.
  let turn = Promise.resolve()

  // An interrupted broadcast keeps its connections: the picture goes on in them when the encoder returns.
  const onAir = computed(
    () => broadcastState.value === BroadcastState.LIVE || broadcastState.value === BroadcastState.INTERRUPTED,
  )

  function forget(): void {
    engine.value = latency.value = bitrate.value = jump.value = undefined
    stalled.value = false
  }

  watch(
    [video, onAir] as const,
    ([element, wanted]) => {
      abort.abort()
      if (!element || !wanted) {
        status.value = 'idle'
        forget()
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
        onBitrate: current(bitrate),
        onStalled: current(stalled),
        onToLive: current(jump),
        onLetGo: () => onLetGo?.(),
        onEnd: current(lastEnd),
      }
      turn = turn.then(() => runPlayback(deps, own.signal))
    },
    { immediate: true, flush: 'post' },
  )
  onScopeDispose(() => abort.abort())

  return {
    status: readonly(status),
    engine: readonly(engine),
    /** Seconds behind the live edge. */
    latency: readonly(latency),
    /** Bits a second of the media that arrives. */
    bitrate: readonly(bitrate),
    /** The picture waits for the network. */
    stalled: readonly(stalled),
    lastEnd: readonly(lastEnd),
    /** Far enough behind that a jump is worth offering: the player closes smaller distances by itself. */
    behind: computed(() => latency.value !== undefined && engine.value !== undefined && latency.value > farBehind[engine.value]),
    /** Jumps to the newest media, and plays. */
    toLive(): void {
      jump.value?.()
      video.value?.play().catch(() => undefined)
    },
  }
}

export type PlayerHandle = ReturnType<typeof usePlayer>
