import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { DEFAULT_CUSHION } from './latency'
import { monitor, type MonitorDeps } from './monitor'

/** A video element of which a test says where it stands. */
class FakeVideo extends EventTarget {
  currentTime = 10
  playbackRate = 1
  paused = false
  seeking = false
  end = 10.2
  get buffered() {
    return { length: 1, start: () => 0, end: () => this.end }
  }
  /** Goes on for some seconds, with the media as far ahead as before. */
  play(seconds: number): void {
    for (let at = 0; at < seconds; at += 0.25) {
      this.currentTime += 0.25
      this.end += 0.25
      vi.advanceTimersByTime(250)
    }
  }
}

function watch(more: Partial<MonitorDeps> = {}) {
  const video = new FakeVideo()
  const told = { latency: vi.fn(), stalled: vi.fn(), still: vi.fn() }
  const watching = monitor({
    video: video as unknown as HTMLVideoElement,
    kind: 'ws-flv',
    engine: {},
    expectsMedia: () => true,
    onLatency: told.latency,
    onStalled: told.stalled,
    onStill: told.still,
    ...more,
  })
  return { video, told, watching }
}

describe('monitor', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('says that the picture waits, and that it goes on', () => {
    const { video, told } = watch()
    video.play(3)
    expect(told.stalled).not.toHaveBeenCalled()
    vi.advanceTimersByTime(2_500)
    expect(told.stalled.mock.calls).toEqual([[true]])
    video.play(1)
    expect(told.stalled.mock.calls).toEqual([[true], [false]])
    expect(told.still).not.toHaveBeenCalled()
  })

  it('takes a picture that stands still for long for lost, once', () => {
    const { video, told } = watch()
    video.play(1)
    vi.advanceTimersByTime(30_000)
    expect(told.still).toHaveBeenCalledTimes(1)
    expect(told.stalled.mock.lastCall).toEqual([false])
  })

  it('asks nothing of a picture that the encoder left', () => {
    const { told } = watch({ expectsMedia: () => false })
    vi.advanceTimersByTime(60_000)
    expect(told.still).not.toHaveBeenCalled()
    expect(told.stalled).not.toHaveBeenCalled()
  })

  it('jumps to the newest media', () => {
    const { video, watching } = watch()
    video.paused = true
    video.end = 30
    watching.toLive()
    expect(video.currentTime).toBeCloseTo(30 - DEFAULT_CUSHION)
    watching.toLive()
    expect(video.currentTime).toBeCloseTo(30 - DEFAULT_CUSHION)
  })

  it('goes by what the engine knows of the live edge', () => {
    const { video, told, watching } = watch({ kind: 'hls', engine: { latency: () => 4.5, liveEdge: () => 22 } })
    vi.advanceTimersByTime(250)
    expect(told.latency).toHaveBeenLastCalledWith(4.5)
    watching.toLive()
    expect(video.currentTime).toBe(22)
  })
})
