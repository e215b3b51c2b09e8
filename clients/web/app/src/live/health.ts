import { durationMs } from '@bufbuild/protobuf/wkt'
import type { StreamStats } from '@gen/stoa/live/v1/live_pb'

/** How far back the studio looks, in milliseconds. */
export const HEALTH_WINDOW_MS = 5 * 60_000

/** What arrived from the encoder at one moment. */
export interface HealthSample {
  /** By this machine's clock, ms since 1970. */
  atMs: number
  /** Bits a second of the picture; 0 without one. */
  videoBps: number
  /** Bits a second of the sound; 0 without one. */
  audioBps: number
  /** Pictures a second. */
  frameRate: number
  /** Seconds between the last two keyframes; 0 before there were two. */
  keyframeSeconds: number
  /** Since the broadcast began. */
  droppedFrames: number
  /** Since the broadcast began. */
  gaps: number
  /** Seconds since the broadcast began. */
  uptimeSeconds: number
  hasVideo: boolean
  hasAudio: boolean
  width: number
  height: number
}

export function sampleOf(stats: StreamStats, atMs: number): HealthSample {
  const { video, audio, gopLength, uptime } = stats
  return {
    atMs,
    videoBps: Number(video?.bitrateBps ?? 0n),
    audioBps: Number(audio?.bitrateBps ?? 0n),
    frameRate: video?.frameRate ?? 0,
    keyframeSeconds: gopLength ? durationMs(gopLength) / 1_000 : 0,
    droppedFrames: Number(stats.droppedFrames),
    gaps: Number(stats.gaps),
    uptimeSeconds: uptime ? durationMs(uptime) / 1_000 : 0,
    hasVideo: Boolean(video?.codec),
    hasAudio: Boolean(audio?.codec),
    width: video?.width ?? 0,
    height: video?.height ?? 0,
  }
}

/** The samples with one more, without those that are too old. Another broadcast's are no past of this one. */
export function withSample(samples: readonly HealthSample[], next: HealthSample): readonly HealthSample[] {
  const last = samples.at(-1)
  if (last && next.uptimeSeconds < last.uptimeSeconds) return [next]
  return [...samples.filter(({ atMs }) => atMs > next.atMs - HEALTH_WINDOW_MS), next]
}

/** One point of a chart: a moment and a value; no value where nothing was heard for a while, which breaks the line. */
export type Point = [atMs: number, value: number | null]

/** Samples further apart than this have nothing known between them. */
const silenceMs = 4_000

/** One number of the samples over time, where it is known. `value` sees the sample before, too. */
export function series(
  samples: readonly HealthSample[],
  value: (sample: HealthSample, before: HealthSample | undefined) => number | null,
): Point[] {
  const points: Point[] = []
  samples.forEach((sample, i) => {
    const before = samples[i - 1]
    if (before && sample.atMs - before.atMs > silenceMs) points.push([before.atMs + 1, null])
    points.push([sample.atMs, value(sample, before)])
  })
  return points
}

export interface Range {
  now: number
  min: number
  max: number
}

/** What a chart shows, in numbers; undefined while it shows nothing. */
export function rangeOf(points: readonly Point[]): Range | undefined {
  const values = points.flatMap(([, value]) => (value === null ? [] : [value]))
  const now = values.at(-1)
  return now === undefined ? undefined : { now, min: Math.min(...values), max: Math.max(...values) }
}
