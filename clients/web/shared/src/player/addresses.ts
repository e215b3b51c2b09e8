import type { Playback } from '@gen/stoa/live/v1/live_pb'

/** Ways to play, best first. */
export type EngineKind = 'ws-flv' | 'hls'

/**
 * The absolute address for one way to play; undefined when the server offers none. Addresses are relative to the
 * page's origin unless another node serves the stream. A WebSocket address takes the page's security: a browser
 * refuses ws: on a page that came by https:.
 */
export function playAddress(playback: Playback, kind: EngineKind, pageUrl: string): string | undefined {
  const given = kind === 'ws-flv' ? playback.wsFlvUrl : playback.hlsUrl
  if (!given) return undefined
  const page = new URL(pageUrl)
  const url = new URL(given, page.origin)
  if (kind === 'ws-flv') {
    if (url.protocol === 'http:') url.protocol = 'ws:'
    if (url.protocol === 'https:' || page.protocol === 'https:') url.protocol = 'wss:'
  }
  return url.href
}
