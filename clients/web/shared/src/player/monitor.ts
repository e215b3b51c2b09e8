import type { EngineKind } from './addresses'
import type { Engine } from './engines'
import { decide, DEFAULT_CUSHION, latencyOf, type BufferedRange } from './latency'

const tickMs = 250
/** While the server's burst arrives the player jumps freely. */
const startingMs = 2_000
/** A picture that stands still for this long while the encoder sends is lost. HLS comes a whole segment at a time. */
const stillMs = { 'ws-flv': 8_000, hls: 20_000 } as const
/** A picture that stands still for this long is waiting for the network. */
const stalledMs = 1_500
const cushionStep = 0.25
const maxCushion = 1.3

export interface MonitorDeps {
  video: HTMLVideoElement
  kind: EngineKind
  engine: Pick<Engine, 'latency' | 'liveEdge'>
  /** True while the encoder sends, so that a picture that stands still is a fault. */
  expectsMedia: () => boolean
  /** Called at every tick with the distance to the live edge, in seconds. */
  onLatency: (seconds: number | undefined) => void
  /** Called when the picture has stopped although there should be one, and when it moves again. */
  onStalled: (stalled: boolean) => void
  /** Called once, when the connection is taken for lost. */
  onStill: () => void
}

export interface Monitor {
  stop(): void
  /** Jumps to the newest media. */
  toLive(): void
}

/** Watches one connection: keeps it near the live edge and notices when its picture stands still. */
export function monitor({ video, kind, engine, expectsMedia, onLatency, onStalled, onStill }: MonitorDeps): Monitor {
  let cushion = DEFAULT_CUSHION
  let firstMediaMs: number | undefined
  let shownTime = -1
  let shownMs = performance.now()
  let stalled = false

  function tick(): void {
    const nowMs = performance.now()
    const buffered = rangesOf(video)
    const end = buffered.at(-1)?.end ?? -1
    if (video.currentTime !== shownTime || video.paused || !expectsMedia()) {
      shownTime = video.currentTime
      shownMs = nowMs
      setStalled(false)
    } else if (nowMs - shownMs > stillMs[kind]) {
      stop()
      onStill()
      return
    } else if (nowMs - shownMs > stalledMs) {
      setStalled(firstMediaMs !== undefined)
    }
    if (end < 0) return
    firstMediaMs ??= nowMs
    onLatency(engine.latency?.() ?? latencyOf({ currentTime: video.currentTime, buffered }))
    // hls.js keeps its own distance, and a paused picture is not chased: it jumps when it goes on.
    if (kind === 'hls' || video.paused || video.seeking) return
    const { currentTime, playbackRate } = video
    const starting = nowMs - firstMediaMs < startingMs
    const decision = decide({ currentTime, buffered, playbackRate, starting, cushion })
    if (decision.kind === 'seek') {
      video.currentTime = decision.to
      video.playbackRate = 1
    } else if (decision.kind === 'rate') {
      video.playbackRate = decision.rate
    }
  }

  /** The picture ran out of media: a network that stutters gets more distance. */
  function onWaiting(): void {
    const settled = firstMediaMs !== undefined && performance.now() - firstMediaMs > startingMs
    if (settled && !video.seeking && expectsMedia()) cushion = Math.min(maxCushion, cushion + cushionStep)
  }

  function setStalled(now: boolean): void {
    if (now !== stalled) onStalled((stalled = now))
  }

  function toLive(): void {
    const newest = rangesOf(video).at(-1)
    const edge = engine.liveEdge?.() ?? (newest && Math.max(newest.start, newest.end - cushion))
    if (edge !== undefined && edge > video.currentTime) video.currentTime = edge
    video.playbackRate = 1
  }

  function stop(): void {
    setStalled(false)
    clearInterval(timer)
    video.removeEventListener('waiting', onWaiting)
    video.removeEventListener('progress', tick)
    video.playbackRate = 1
  }

  const timer = setInterval(tick, tickMs)
  video.addEventListener('waiting', onWaiting)
  video.addEventListener('progress', tick)
  return { stop, toLive }
}

function rangesOf({ buffered }: HTMLVideoElement): BufferedRange[] {
  return Array.from({ length: buffered.length }, (_, i) => ({ start: buffered.start(i), end: buffered.end(i) }))
}
