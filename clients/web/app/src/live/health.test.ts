import { create } from '@bufbuild/protobuf'
import { durationFromMs } from '@bufbuild/protobuf/wkt'
import { StreamStatsSchema } from '@gen/stoa/live/v1/live_pb'
import { describe, expect, it } from 'vitest'
import { HEALTH_WINDOW_MS, rangeOf, sampleOf, series, withSample, type HealthSample } from './health'

const at = (atMs: number, uptimeSeconds: number): HealthSample => ({ ...sampleOf(create(StreamStatsSchema), atMs), uptimeSeconds })

describe('sampleOf', () => {
  it('reads what arrives', () => {
    const stats = create(StreamStatsSchema, {
      video: { codec: 'h264', width: 1280, height: 720, frameRate: 29.9, bitrateBps: 2_400_000n },
      audio: { codec: 'aac', bitrateBps: 128_000n },
      gopLength: durationFromMs(2_500),
      uptime: durationFromMs(61_000),
      droppedFrames: 3n,
      gaps: 1n,
    })
    expect(sampleOf(stats, 5)).toEqual({
      atMs: 5, videoBps: 2_400_000, audioBps: 128_000, frameRate: 29.9, keyframeSeconds: 2.5, droppedFrames: 3, gaps: 1,
      uptimeSeconds: 61, hasVideo: true, hasAudio: true, width: 1280, height: 720,
    })
  })
  it('reads nothing as nothing', () => {
    expect(sampleOf(create(StreamStatsSchema), 5)).toMatchObject({ hasVideo: false, hasAudio: false, videoBps: 0, keyframeSeconds: 0 })
  })
})

describe('withSample', () => {
  it('keeps five minutes', () => {
    let samples: readonly HealthSample[] = []
    for (let second = 0; second < 400; second++) samples = withSample(samples, at(second * 1_000, second))
    expect(samples.length).toBe(HEALTH_WINDOW_MS / 1_000)
    expect(samples.at(-1)?.atMs).toBe(399_000)
  })
  it('begins anew with another broadcast', () => {
    const samples = withSample(withSample([], at(1_000, 500)), at(2_000, 1))
    expect(samples.map(({ uptimeSeconds }) => uptimeSeconds)).toEqual([1])
  })
})

describe('series', () => {
  it('breaks where nothing was heard', () => {
    const points = series([at(0, 1), at(1_000, 2), at(9_000, 10)], ({ uptimeSeconds }) => uptimeSeconds)
    expect(points).toEqual([[0, 1], [1_000, 2], [1_001, null], [9_000, 10]])
    expect(rangeOf(points)).toEqual({ now: 10, min: 1, max: 10 })
  })
  it('shows differences', () => {
    const points = series([at(0, 1), at(1_000, 2), at(2_000, 5)], (now, before) => (before ? now.uptimeSeconds - before.uptimeSeconds : 0))
    expect(points.map(([, value]) => value)).toEqual([0, 1, 3])
  })
  it('is nothing of nothing', () => {
    expect(rangeOf(series([], () => 1))).toBeUndefined()
  })
})
