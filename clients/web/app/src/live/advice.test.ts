import { describe, expect, it } from 'vitest'
import { adviseOn, usualBps } from './advice'
import type { HealthSample } from './health'

const well: HealthSample = {
  atMs: 0, videoBps: 2_500_000, audioBps: 128_000, frameRate: 30, keyframeSeconds: 2, droppedFrames: 0, gaps: 0,
  uptimeSeconds: 0, hasVideo: true, hasAudio: true, width: 1280, height: 720,
}

/** A stream of so many seconds, of which each sample may be unlike the good one. */
function stream(seconds: number, change: (second: number) => Partial<HealthSample> = () => ({})): HealthSample[] {
  return Array.from({ length: seconds }, (_, second) => ({ ...well, atMs: second * 1_000, uptimeSeconds: second, ...change(second) }))
}
const kinds = (samples: HealthSample[]): string[] => adviseOn(samples).map(({ kind, severity }) => `${kind}:${severity}`)

describe('adviseOn', () => {
  it('says nothing of the first seconds', () => {
    expect(adviseOn([])).toEqual([])
    expect(adviseOn(stream(12, () => ({ keyframeSeconds: 9, frameRate: 3 })))).toEqual([])
  })

  it('says when all is well', () => {
    expect(kinds(stream(60))).toEqual(['allWell:good'])
    expect(kinds(stream(300))).toEqual(['allWell:good'])
  })

  it('does not take an encoder\'s start for a fault', () => {
    expect(kinds(stream(60, (second) => (second < 8 ? { videoBps: 100_000, frameRate: 4, droppedFrames: second } : { droppedFrames: 8 })))).toEqual([
      'allWell:good',
    ])
  })

  it.each([
    ['keyframes every 8 s', { keyframeSeconds: 8 }, ['keyframes:warn']],
    ['keyframes every 20 s', { keyframeSeconds: 20 }, ['keyframes:bad']],
    ['keyframes every 4 s', { keyframeSeconds: 4 }, ['allWell:good']],
    ['no sound', { hasAudio: false, audioBps: 0 }, ['noAudio:warn']],
    ['no picture', { hasVideo: false, videoBps: 0, frameRate: 0, width: 0, height: 0, keyframeSeconds: 0 }, ['noVideo:bad']],
    ['a still film', { frameRate: 10 }, ['frameRateLow:warn']],
    ['24 pictures a second', { frameRate: 23.976 }, ['allWell:good']],
    ['a poor picture', { videoBps: 500_000 }, ['bitrateLow:hint']],
    ['a heavy picture', { videoBps: 12_000_000 }, ['bitrateHigh:warn']],
    ['60 pictures a second of 1080p', { videoBps: 7_000_000, frameRate: 60, width: 1920, height: 1080 }, ['allWell:good']],
    ['a phone held upright', { videoBps: 2_500_000, width: 720, height: 1280 }, ['allWell:good']],
  ])('tells of %s', (_name, change, wanted) => {
    expect(kinds(stream(60, () => change))).toEqual(wanted)
  })

  it('names the numbers of its sentences', () => {
    expect(adviseOn(stream(60, () => ({ keyframeSeconds: 8.34 })))[0]?.values).toEqual({ seconds: 8.3 })
    expect(adviseOn(stream(60, () => ({ videoBps: 500_000 })))[0]?.values).toEqual({ kbps: 500, wanted: 2_500, height: 720 })
  })

  it('does not wait for a second keyframe that never comes', () => {
    expect(kinds(stream(40, () => ({ keyframeSeconds: 0 })))).toEqual(['keyframes:bad'])
  })

  it('tells a network that gives way from a low bitrate', () => {
    const samples = stream(120, (second) => (second > 90 && second % 10 < 2 ? { videoBps: 200_000 } : {}))
    expect(kinds(samples)).toEqual(['bitrateCollapses:bad'])
    expect(adviseOn(samples)[0]?.values).toEqual({ kbps: 328, usual: 2_628 })
  })

  it('forgets a collapse after a minute', () => {
    expect(kinds(stream(200, (second) => (second > 90 && second < 100 ? { videoBps: 200_000 } : {})))).toEqual(['allWell:good'])
  })

  it('compares the frame rate with what it was', () => {
    const samples = stream(120, (second) => ({ frameRate: second > 80 ? 40 : 60, videoBps: 3_750_000 }))
    expect(adviseOn(samples)).toEqual([{ kind: 'frameRateLow', severity: 'warn', values: { fps: 40, wanted: 60 } }])
  })

  it('tells of a frame rate that jumps', () => {
    expect(adviseOn(stream(60, (second) => ({ frameRate: second % 3 === 0 ? 24 : 31 })))).toEqual([
      { kind: 'frameRateUnsteady', severity: 'warn', values: { low: 24, high: 31 } },
    ])
  })

  it.each([
    [1, ['allWell:good']],
    [20, ['droppedFrames:warn']],
    [200, ['droppedFrames:bad']],
  ])('weighs %d pictures lost within a minute', (count, wanted) => {
    expect(kinds(stream(120, (second) => ({ droppedFrames: second > 100 ? count : 0 })))).toEqual(wanted)
  })

  it('counts breaks of the last minutes, not those of before', () => {
    expect(adviseOn(stream(120, (second) => ({ gaps: second > 60 ? 5 : 3 })))).toEqual([{ kind: 'gaps', severity: 'warn', values: { count: 2 } }])
    expect(kinds(stream(120, () => ({ gaps: 3 })))).toEqual(['allWell:good'])
  })

  it('puts the worst first', () => {
    expect(kinds(stream(60, () => ({ videoBps: 500_000, keyframeSeconds: 20, hasAudio: false, audioBps: 0 })))).toEqual([
      'keyframes:bad', 'noAudio:warn', 'bitrateLow:hint',
    ])
  })
})

describe('usualBps', () => {
  it.each([
    [640, 360, 30, 800_000],
    [1280, 720, 30, 2_500_000],
    [1920, 1080, 60, 6_750_000],
    [3840, 2160, 30, 16_000_000],
  ])('knows %d × %d at %d', (width, height, fps, wanted) => {
    expect(usualBps(width, height, fps)).toBe(wanted)
  })
})
