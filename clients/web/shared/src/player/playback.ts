import type { Playback } from '@gen/stoa/live/v1/live_pb'
import { backoffMs } from '../lib/backoff'
import { isAborted, sleep } from '../lib/sleep'
import { playAddress, type EngineKind } from './addresses'
import { openEngine, supportedEngines } from './engines'
import { monitor } from './monitor'

/** `idle` is nothing on the air; `blocked` waits for the viewer to press play. */
export type PlaybackStatus = 'idle' | 'connecting' | 'playing' | 'reconnecting' | 'blocked' | 'unsupported'

export interface PlaybackDeps {
  video: HTMLVideoElement
  /** Freshly signed addresses; undefined while nothing is on the air. Each is good for one connection. */
  takePlayback: () => Promise<Playback | undefined>
  expectsMedia: () => boolean
  onStatus: (status: PlaybackStatus) => void
  onEngine: (kind: EngineKind | undefined) => void
  onLatency: (seconds: number | undefined) => void
  onBitrate: (bps: number | undefined) => void
  onStalled: (stalled: boolean) => void
  /** Given how to jump to the newest media while a connection is open. */
  onToLive: (toLive: (() => void) | undefined) => void
  /** Called before a connection lets go of the video element, which then shows nothing. */
  onLetGo: () => void
  /** Told why a connection ended, in words for whoever looks for a fault. */
  onEnd: (why: string) => void
}

const retry = { firstMs: 400, maxMs: 8_000 }
/** A picture that lasted this long makes the next loss a new one. */
const steadyMs = 5_000
/** After this many connections in a row without a picture the next way to play is tried. */
const triesPerEngine = 3

/** Plays until the signal aborts: connects, and connects anew with new addresses whenever a connection ends. */
export async function runPlayback(deps: PlaybackDeps, signal: AbortSignal): Promise<void> {
  const kinds = supportedEngines(deps.video)
  if (kinds.length === 0) {
    deps.onStatus('unsupported')
    return
  }
  if (isAborted(signal)) return
  let attempt = 0
  let engine = 0
  let fruitless = 0
  deps.onStatus('connecting')
  while (!isAborted(signal)) {
    const shownMs = await connectOnce(deps, kinds[engine % kinds.length] ?? 'hls', signal)
    // What has shown a picture is kept to; what does not makes room for the next.
    fruitless = shownMs >= 0 ? 0 : fruitless + 1
    if (fruitless === triesPerEngine) {
      fruitless = 0
      engine++
    }
    if (shownMs > steadyMs) attempt = 0
    if (isAborted(signal)) break
    deps.onStatus('reconnecting')
    await sleep(backoffMs(attempt++, retry), signal)
  }
}

/** One connection. Returns how long a picture was shown, in milliseconds; -1 when there was none. */
async function connectOnce(deps: PlaybackDeps, kind: EngineKind, signal: AbortSignal): Promise<number> {
  const { video } = deps
  let firstPictureMs: number | undefined
  const onPlaying = (): void => {
    firstPictureMs ??= performance.now()
    deps.onStatus('playing')
  }
  try {
    const playback = await deps.takePlayback()
    const url = playback && playAddress(playback, kind, location.href)
    if (!url || signal.aborted) return -1
    deps.onEngine(kind)
    video.addEventListener('playing', onPlaying)
    await connectionEnd(deps, kind, url, signal)
  } catch (error) {
    // Not reached, or refused: the caller comes back after a while.
    deps.onEnd(String(error))
  } finally {
    video.removeEventListener('playing', onPlaying)
  }
  return firstPictureMs === undefined ? -1 : performance.now() - firstPictureMs
}

/** Resolves when the connection has ended, for whatever reason. */
async function connectionEnd(deps: PlaybackDeps, kind: EngineKind, url: string, signal: AbortSignal): Promise<void> {
  const { video, expectsMedia, onLatency, onStalled } = deps
  let end: (why: string) => void = () => undefined
  const ended = new Promise<string>((resolve) => (end = resolve))
  const onAbort = (): void => end('left')
  signal.addEventListener('abort', onAbort)
  const engine = await openEngine(kind, url, video, { onClose: end, onBitrate: deps.onBitrate })
  const onStill = (): void => end('the picture stood still')
  const watching = monitor({ video, kind, engine, expectsMedia, onLatency, onStalled, onStill })
  deps.onToLive(() => watching.toLive())
  void playOrMute(video).then((plays) => {
    if (!plays && !signal.aborted) deps.onStatus('blocked')
  })
  if (!signal.aborted) deps.onEnd(await ended)
  signal.removeEventListener('abort', onAbort)
  watching.stop()
  deps.onToLive(undefined)
  deps.onLetGo()
  engine.destroy()
}

/** Starts the picture, without sound if the browser allows no other way. False when it allows none. */
async function playOrMute(video: HTMLVideoElement): Promise<boolean> {
  for (;;) {
    try {
      await video.play()
      return true
    } catch (error) {
      const refused = error instanceof DOMException && error.name === 'NotAllowedError'
      if (!refused) return true
      if (video.muted) return false
      video.muted = true
    }
  }
}
