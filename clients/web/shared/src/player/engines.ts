import type { EngineKind } from './addresses'

/** Something that fills a video element from an address until it is destroyed. */
export interface Engine {
  destroy(): void
}

/** Opens an engine; `onClose` is called once when the media ends or fails. */
export type OpenEngine = (
  kind: EngineKind,
  url: string,
  video: HTMLVideoElement,
  onClose: (why: string) => void,
) => Promise<Engine>

const AVC_AAC = 'video/mp4; codecs="avc1.42E01E,mp4a.40.2"'

/** The ways this browser can play, best first. */
export function supportedEngines(video: HTMLVideoElement): EngineKind[] {
  // iPhones have the managed one only, and older ones have neither.
  const scope: { MediaSource?: typeof MediaSource; ManagedMediaSource?: typeof MediaSource } = globalThis
  const source = scope.MediaSource ?? scope.ManagedMediaSource
  if (source?.isTypeSupported(AVC_AAC)) return ['ws-flv', 'hls']
  return playsHlsItself(video) ? ['hls'] : []
}

/** Opens the engine with its library, which is loaded on first use. */
export const openEngine: OpenEngine = async (kind, url, video, onClose) => {
  if (kind === 'ws-flv') return openFlv(url, video, onClose)
  return openHls(url, video, onClose)
}

async function openFlv(url: string, video: HTMLVideoElement, onClose: (why: string) => void): Promise<Engine> {
  const { default: mpegts } = await import('mpegts.js')
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
  player.attachMediaElement(video)
  player.load()
  return { destroy: () => player.destroy() }
}

async function openHls(url: string, video: HTMLVideoElement, onClose: (why: string) => void): Promise<Engine> {
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
  hls.loadSource(url)
  hls.attachMedia(video)
  return { destroy: () => hls.destroy() }
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
