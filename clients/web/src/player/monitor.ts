import type { EngineKind } from './addresses'
import { decide, DEFAULT_CUSHION, latencyOf, type BufferedRange } from './latency'

const tickMs = 250
/** While the server's burst arrives the player jumps freely. */
const startingMs = 2_000
/** This long without new media, from an encoder that sends, is a dead connection. */
const silenceMs = 8_000
const cushionStep = 0.25
const maxCushion = 1.3

export interface MonitorDeps {
  video: HTMLVideoElement
  kind: EngineKind
  /** True while the encoder sends, so that silence is a fault. */
  expectsMedia: () => boolean
  /** Called at every tick with the distance to the live edge, in seconds. */
  onLatency: (seconds: number | undefined) => void
  /** Called once, when the connection is taken for dead. */
  onSilence: () => void
}

/** Watches one connection: keeps it near the live edge and notices when it has gone silent. Returns how to stop. */
export function monitor({ video, kind, expectsMedia, onLatency, onSilence }: MonitorDeps): () => void {
  let cushion = DEFAULT_CUSHION
  let firstMediaMs: number | undefined
  let newest = -1
  let newestMs = performance.now()

  function tick(): void {
    const nowMs = performance.now()
    const buffered = rangesOf(video)
    const end = buffered.at(-1)?.end ?? -1
    if (end !== newest || !expectsMedia()) {
      newest = end
      newestMs = nowMs
    } else if (nowMs - newestMs > silenceMs) {
      stop()
      onSilence()
      return
    }
    if (end < 0) return
    firstMediaMs ??= nowMs
    onLatency(latencyOf({ currentTime: video.currentTime, buffered }))
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

  function stop(): void {
    clearInterval(timer)
    video.removeEventListener('waiting', onWaiting)
    video.removeEventListener('progress', tick)
    video.playbackRate = 1
  }

  const timer = setInterval(tick, tickMs)
  video.addEventListener('waiting', onWaiting)
  video.addEventListener('progress', tick)
  return stop
}

function rangesOf({ buffered }: HTMLVideoElement): BufferedRange[] {
  return Array.from({ length: buffered.length }, (_, i) => ({ start: buffered.start(i), end: buffered.end(i) }))
}
