/** What a streamer should know about the stream that arrives, and do about it. Pure: samples in, advice out. */
import type { HealthSample } from './health'

export type AdviceKind =
  | 'noVideo'
  | 'noAudio'
  | 'keyframes'
  | 'bitrateCollapses'
  | 'droppedFrames'
  | 'gaps'
  | 'frameRateLow'
  | 'frameRateUnsteady'
  | 'bitrateLow'
  | 'bitrateHigh'
  | 'allWell'

/** `bad` is seen by viewers now, `warn` by some of them, `hint` could be better. */
export type Severity = 'bad' | 'warn' | 'hint' | 'good'

export interface Advice {
  kind: AdviceKind
  severity: Severity
  /** Numbers for the sentence: seconds, pictures a second, kilobits a second, counts. */
  values: Record<string, number>
}

/** The newest samples speak for now. */
const recentMs = 30_000
/** Encoders take a moment to find their pace. */
const settledSeconds = 8
/** What is missing for this long is not there. */
const missingMs = 5_000

const rank: Record<Severity, number> = { bad: 0, warn: 1, hint: 2, good: 3 }

/** Advice on the newest samples, the worst first; nothing while there is too little to tell. */
export function adviseOn(samples: readonly HealthSample[]): Advice[] {
  const settled = samples.filter(({ uptimeSeconds }) => uptimeSeconds >= settledSeconds)
  const last = settled.at(-1)
  const first = settled[0]
  if (!first || !last || last.atMs - first.atMs < missingMs) return []
  const recent = settled.filter(({ atMs }) => atMs > last.atMs - recentMs)
  const found = [
    onMissing(recent, last),
    onKeyframes(last),
    onBitrate(recent, last),
    onCollapses(settled, last),
    onFrameRate(recent, settled),
    onLosses(settled, last),
  ].flat()
  if (found.length === 0) return [{ kind: 'allWell', severity: 'good', values: {} }]
  return found.sort((a, b) => rank[a.severity] - rank[b.severity])
}

function onMissing(recent: readonly HealthSample[], last: HealthSample): Advice[] {
  const lately = recent.filter(({ atMs }) => atMs >= last.atMs - missingMs)
  const found: Advice[] = []
  if (lately.every(({ hasVideo, frameRate }) => !hasVideo || frameRate === 0)) found.push({ kind: 'noVideo', severity: 'bad', values: {} })
  if (lately.every(({ hasAudio, audioBps }) => !hasAudio || audioBps === 0)) found.push({ kind: 'noAudio', severity: 'warn', values: {} })
  return found
}

/** A viewer waits for a keyframe at the start, and after every loss. */
function onKeyframes(last: HealthSample): Advice[] {
  if (!last.hasVideo) return []
  // Before the second keyframe the distance is not known, but that it is at least this long.
  const seconds = last.keyframeSeconds || last.uptimeSeconds
  if (seconds <= 4.2) return []
  return [{ kind: 'keyframes', severity: seconds > 12 ? 'bad' : 'warn', values: { seconds: rounded(seconds, 1) } }]
}

/** Usual bitrates of H.264, by the number of pixels. Bits a second at 30 pictures a second. */
const usual: readonly [pixels: number, bps: number][] = [
  [640 * 360, 800_000],
  [854 * 480, 1_200_000],
  [1280 * 720, 2_500_000],
  [1920 * 1080, 4_500_000],
  [2560 * 1440, 9_000_000],
]

/** What a picture of this size and rate usually takes, in bits a second. */
export function usualBps(width: number, height: number, frameRate: number): number {
  const bps = usual.find(([pixels]) => width * height <= pixels)?.[1] ?? 16_000_000
  return frameRate > 40 ? bps * 1.5 : bps
}

function onBitrate(recent: readonly HealthSample[], last: HealthSample): Advice[] {
  if (!last.hasVideo || last.width === 0) return []
  const bps = median(recent.map(({ videoBps }) => videoBps))
  const wanted = usualBps(last.width, last.height, last.frameRate)
  const values = { kbps: Math.round(bps / 1_000), wanted: Math.round(wanted / 1_000), height: Math.min(last.width, last.height) }
  if (bps > 0 && bps < wanted * 0.3) return [{ kind: 'bitrateLow', severity: 'hint', values }]
  if (bps > wanted * 3) return [{ kind: 'bitrateHigh', severity: 'warn', values }]
  return []
}

/** The network gives way: for seconds at a time less than half of the usual arrives. */
function onCollapses(settled: readonly HealthSample[], last: HealthSample): Advice[] {
  const lately = settled.filter(({ atMs }) => atMs > last.atMs - 60_000)
  const bps = lately.map(({ videoBps, audioBps }) => videoBps + audioBps)
  const middle = median(settled.map(({ videoBps, audioBps }) => videoBps + audioBps))
  const low = bps.filter((value) => value < middle * 0.4)
  if (lately.length < 10 || low.length < 3 || low.length === bps.length) return []
  const values = { kbps: Math.round(Math.min(...low) / 1_000), usual: Math.round(middle / 1_000) }
  return [{ kind: 'bitrateCollapses', severity: 'bad', values }]
}

function onFrameRate(recent: readonly HealthSample[], settled: readonly HealthSample[]): Advice[] {
  const rates = recent.filter(({ hasVideo }) => hasVideo).map(({ frameRate }) => frameRate)
  const now = median(rates)
  if (rates.length < 5 || now === 0) return []
  const best = percentile(settled.map(({ frameRate }) => frameRate), 0.9)
  const values = { fps: rounded(now, 1), wanted: Math.max(24, Math.round(best)) }
  if (now < 20 || now < best * 0.8) return [{ kind: 'frameRateLow', severity: 'warn', values }]
  const uneven = rates.filter((rate) => Math.abs(rate - now) > now * 0.15).length
  if (uneven >= Math.max(3, rates.length * 0.15)) {
    const range = { low: rounded(Math.min(...rates), 0), high: rounded(Math.max(...rates), 0) }
    return [{ kind: 'frameRateUnsteady', severity: 'warn', values: range }]
  }
  return []
}

/** Pictures that are missing within the last minute, and breaks within the whole time. */
function onLosses(settled: readonly HealthSample[], last: HealthSample): Advice[] {
  const found: Advice[] = []
  const minute = settled.filter(({ atMs }) => atMs > last.atMs - 60_000)
  const [from] = minute
  const dropped = from ? last.droppedFrames - from.droppedFrames : 0
  const due = minute.reduce((sum, { frameRate }) => sum + frameRate, 0)
  if (dropped > Math.max(2, due * 0.005)) {
    found.push({ kind: 'droppedFrames', severity: dropped > due * 0.05 ? 'bad' : 'warn', values: { count: dropped } })
  }
  const gaps = last.gaps - (settled[0]?.gaps ?? 0)
  if (gaps > 0) found.push({ kind: 'gaps', severity: 'warn', values: { count: gaps } })
  return found
}

const rounded = (value: number, digits: number): number => Math.round(value * 10 ** digits) / 10 ** digits

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

const median = (values: readonly number[]): number => percentile(values, 0.5)
