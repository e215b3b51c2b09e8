import { create } from '@bufbuild/protobuf'
import { PlaybackSchema } from '@gen/stoa/live/v1/live_pb'
import { describe, expect, it } from 'vitest'
import { playAddress } from './addresses'

const address = (page: string, wsFlvUrl: string): string | undefined =>
  playAddress(create(PlaybackSchema, { wsFlvUrl }), 'ws-flv', page)

describe('playAddress', () => {
  it.each([
    ['a plain page', 'http://127.0.0.1:8080/room/1', '/play/1.flv?sig=a', 'ws://127.0.0.1:8080/play/1.flv?sig=a'],
    ['a secure page', 'https://live.example/room/1', '/play/1.flv?sig=a', 'wss://live.example/play/1.flv?sig=a'],
    ['no leading slash', 'http://a.example/room/1', 'play/1.flv', 'ws://a.example/play/1.flv'],
    ['another node by http', 'http://a.example/', 'http://b.example:9000/1.flv', 'ws://b.example:9000/1.flv'],
    ['another node by https', 'http://a.example/', 'https://b.example/1.flv', 'wss://b.example/1.flv'],
    ['another node by ws, from a secure page', 'https://a.example/', 'ws://b.example/1.flv', 'wss://b.example/1.flv'],
    ['another node by ws', 'http://a.example/', 'ws://b.example:81/1.flv', 'ws://b.example:81/1.flv'],
  ])('makes a WebSocket address for %s', (_name, page, given, wanted) => {
    expect(address(page, given)).toBe(wanted)
  })

  it('leaves the scheme of a playlist alone', () => {
    const playback = create(PlaybackSchema, { hlsUrl: '/play/1.m3u8?sig=a' })
    expect(playAddress(playback, 'hls', 'https://a.example/room/1')).toBe('https://a.example/play/1.m3u8?sig=a')
  })

  it('has none where the server offers none', () => {
    expect(address('http://a.example/', '')).toBeUndefined()
  })
})
