import { create } from '@bufbuild/protobuf'
import { PlaybackSchema } from '@gen/stoa/live/v1/live_pb'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { EngineKind } from './addresses'
import { openEngine } from './engines'
import { runPlayback, type PlaybackStatus } from './playback'

vi.mock('./engines', () => ({ supportedEngines: () => ['ws-flv', 'hls'], openEngine: vi.fn() }))
vi.mock('./monitor', () => ({ monitor: () => ({ stop: () => undefined, toLive: () => undefined }) }))

/** Plays for `ms` with engines that show a picture or not, and close after a second. */
async function play(ms: number, showsPicture: (kind: EngineKind) => boolean, onAir: () => boolean = () => true) {
  const opened: EngineKind[] = []
  const statuses: PlaybackStatus[] = []
  const video = Object.assign(new EventTarget(), { play: () => Promise.resolve(), muted: true })
  const order: string[] = []
  const destroy = vi.fn(() => order.push('destroyed'))
  vi.mocked(openEngine).mockImplementation((kind, _url, _video, { onClose }) => {
    opened.push(kind)
    if (showsPicture(kind)) setTimeout(() => video.dispatchEvent(new Event('playing')), 100)
    setTimeout(() => onClose('closed'), 1_000)
    return Promise.resolve({ destroy })
  })
  const abort = new AbortController()
  const takePlayback = vi.fn(() =>
    Promise.resolve(onAir() ? create(PlaybackSchema, { wsFlvUrl: '/a.flv', hlsUrl: '/a.m3u8' }) : undefined),
  )
  const deps = {
    video: video as unknown as HTMLVideoElement,
    takePlayback,
    expectsMedia: () => true,
    onStatus: (status: PlaybackStatus) => statuses.push(status),
    onEngine: vi.fn(),
    onLatency: vi.fn(),
    onBitrate: vi.fn(),
    onStalled: vi.fn(),
    onToLive: vi.fn(),
    onLetGo: vi.fn(() => order.push('let go')),
    onEnd: vi.fn(),
  }
  const done = runPlayback(deps, abort.signal)
  await vi.advanceTimersByTimeAsync(ms)
  abort.abort()
  await done
  return { opened, statuses, destroy, takePlayback, order, onToLive: deps.onToLive }
}

describe('runPlayback', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    vi.stubGlobal('location', { href: 'http://127.0.0.1:8080/room/1' })
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  it('opens a new connection with new addresses when one ends', async () => {
    const { opened, statuses, destroy, takePlayback } = await play(10_000, () => true)
    expect(opened.length).toBeGreaterThan(2)
    expect(new Set(opened)).toEqual(new Set(['ws-flv']))
    expect(takePlayback).toHaveBeenCalledTimes(opened.length)
    expect(destroy).toHaveBeenCalledTimes(opened.length)
    expect(statuses.slice(0, 4)).toEqual(['connecting', 'playing', 'reconnecting', 'playing'])
  })

  it('tells before the picture goes, and takes back how to jump', async () => {
    const { order, onToLive } = await play(1_500, () => true)
    expect(order.slice(0, 2)).toEqual(['let go', 'destroyed'])
    expect(onToLive.mock.calls[0]?.[0]).toBeTypeOf('function')
    expect(onToLive.mock.calls[1]?.[0]).toBeUndefined()
  })

  it('tries the next way after three connections without a picture, and keeps to what works', async () => {
    const { opened } = await play(60_000, (kind) => kind === 'hls')
    expect(opened.slice(0, 3)).toEqual(['ws-flv', 'ws-flv', 'ws-flv'])
    expect(opened.length).toBeGreaterThan(5)
    expect(new Set(opened.slice(3))).toEqual(new Set(['hls']))
  })

  it('opens nothing while there is nothing to open', async () => {
    const { opened, statuses } = await play(10_000, () => true, () => false)
    expect(opened).toEqual([])
    expect(statuses[0]).toBe('connecting')
  })
})
