import type { EngineKind } from './addresses'
import { BitrateMeter } from './bitrate'

/** Something that fills a video element from an address until it is destroyed. */
export interface Engine {
  destroy(): void
  /** Seconds behind the live edge, and the time of that edge in the media, where the engine knows better than the buffer. */
  latency?: () => number | undefined
  liveEdge?: () => number | undefined
}

export interface EngineEvents {
  /** Called once when the media ends or fails. */
  onClose: (why: string) => void
  /** Called now and then with the bits a second of the media that arrives, where that can be had. */
  onBitrate: (bps: number | undefined) => void
}

export type OpenEngine = (kind: EngineKind, url: string, video: HTMLVideoElement, events: EngineEvents) => Promise<Engine>

const AVC_AAC = 'video/mp4; codecs="avc1.42E01E,mp4a.40.2"'

/** The ways this browser can play, best first. */
export function supportedEngines(video: HTMLVideoElement): EngineKind[] {
  // iPhones have the managed one only, and older ones have neither.
  const scope: { MediaSource?: typeof MediaSource; ManagedMediaSource?: typeof MediaSource } = globalThis
  const source = scope.MediaSource ?? scope.ManagedMediaSource
  if (source?.isTypeSupported(AVC_AAC)) return ['ws-flv', 'hls']
  return playsHlsItself(video) ? ['hls'] : []
}

const loadFlv = () => import('mpegts.js')

/** Fetches the library that this browser will most likely need, ahead of the first picture. */
export function preloadEngine(): void {
  // Not reached: the first connection asks again, and says so.
  if (supportedEngines(document.createElement('video'))[0] === 'ws-flv') void loadFlv().catch(() => undefined)
}

/** Opens the engine with its library, which is loaded on first use. */
export const openEngine: OpenEngine = async (kind, url, video, events) => {
  if (kind === 'ws-flv') return openFlv(url, video, events)
  return openHls(url, video, events)
}

async function openFlv(url: string, video: HTMLVideoElement, { onClose, onBitrate }: EngineEvents): Promise<Engine> {
  const { default: mpegts } = await loadFlv()
  mpegts.LoggingControl.enableAll = false
  const player = mpegts.createPlayer(
    { type: 'flv', isLive: true, url },
    {
      // Frames are shown as they come; distance to the live edge is ours to keep (see latency.ts).
      enableStashBuffer: false,
      liveBufferLatencyChasing: false,
      liveSync: false,
      lazyLoad: false,
      deferLoadAfterSourceOpen: false,
      autoCleanupSourceBuffer: true,
      autoCleanupMaxBackwardDuration: 30,
      autoCleanupMinBackwardDuration: 10,
    },
  )
  player.on(mpegts.Events.ERROR, (type: string, detail: string) => onClose(`${type}: ${detail}`))
  player.on(mpegts.Events.LOADING_COMPLETE, () => onClose('the stream was closed'))
  const meter = new BitrateMeter()
  let lastMs: number | undefined
  // It tells a speed every while (KB of 1,024 bytes a second); what came since the last time follows from it.
  player.on(mpegts.Events.STATISTICS_INFO, ({ speed = 0 }: { speed?: number }) => {
    const nowMs = performance.now()
    meter.add((speed * 1_024 * (nowMs - (lastMs ?? nowMs))) / 1_000, nowMs)
    lastMs = nowMs
    onBitrate(meter.bps)
  })
  player.attachMediaElement(video)
  player.load()
  return { destroy: () => player.destroy() }
}

async function openHls(url: string, video: HTMLVideoElement, { onClose, onBitrate }: EngineEvents): Promise<Engine> {
  const { default: Hls, Events } = await import('hls.js/light')
  if (!Hls.isSupported()) return openNativeHls(url, video, onClose)
  const hls = new Hls({
    // A worker would come from a blob: address, which the Content-Security-Policy allows for media only.
    enableWorker: false,
    lowLatencyMode: true,
    liveSyncDurationCount: 2,
    maxLiveSyncPlaybackRate: 1.1,
    backBufferLength: 15,
  })
  hls.on(Events.ERROR, (_event, data) => {
    if (data.fatal) onClose(`${data.type}: ${data.details}`)
  })
  hls.on(Events.FRAG_BUFFERED, (_event, { stats, frag, part }) => {
    const seconds = part?.duration ?? frag.duration
    if (seconds > 0 && stats.total > 0) onBitrate((stats.total * 8) / seconds)
  })
  hls.loadSource(url)
  hls.attachMedia(video)
  return {
    destroy: () => hls.destroy(),
    latency: () => (hls.liveSyncPosition === null ? undefined : hls.latency),
    liveEdge: () => hls.liveSyncPosition ?? undefined,
  }
}

function openNativeHls(url: string, video: HTMLVideoElement, onClose: (why: string) => void): Engine {
  const onError = (): void => onClose(video.error?.message ?? 'the stream failed')
  const onEnded = (): void => onClose('the stream was closed')
  video.addEventListener('error', onError)
  video.addEventListener('ended', onEnded)
  video.src = url
  return {
    destroy() {
      video.removeEventListener('error', onError)
      video.removeEventListener('ended', onEnded)
      video.removeAttribute('src')
      video.load()
    },
  }
}

function playsHlsItself(video: HTMLVideoElement): boolean {
  return video.canPlayType('application/vnd.apple.mpegurl') !== ''
}
