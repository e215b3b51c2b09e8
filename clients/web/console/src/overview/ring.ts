import { timestampMs } from '@bufbuild/protobuf/wkt'
import type { Sample } from '@gen/stoa/admin/v1/admin_service_pb'

/** How long samples are kept, in milliseconds. */
export const WINDOW_MS = 600_000
/** Samples come every two seconds; where one is missing for longer, the server was away. */
export const GAP_MS = 7_000

export const sampleMs = (sample: Sample): number => (sample.at ? timestampMs(sample.at) : 0)

/** The samples of the last ten minutes: those that were there and those that came, in order, each once. */
export function merge(kept: readonly Sample[], came: readonly Sample[]): Sample[] {
  const last = kept.at(-1)
  const lastMs = last ? sampleMs(last) : -Infinity
  const all = [...kept, ...came.filter((sample) => sampleMs(sample) > lastMs)]
  const newest = all.at(-1)
  if (!newest) return []
  const from = sampleMs(newest) - WINDOW_MS
  return all.filter((sample) => sampleMs(sample) >= from)
}

/** Points of a line, with a hole where the server was away. */
export function points(samples: readonly Sample[], value: (sample: Sample) => number): [number, number | null][] {
  const line: [number, number | null][] = []
  let before: number | undefined
  for (const sample of samples) {
    const at = sampleMs(sample)
    if (before !== undefined && at - before > GAP_MS) line.push([before + 1, null])
    line.push([at, value(sample)])
    before = at
  }
  return line
}

/** The points of a line that is not worth drawing at zero: those above it, and where they rise and fall. */
export function aboveZero(line: readonly [number, number | null][]): [number, number | null][] {
  const isUp = (index: number): boolean => (line[index]?.[1] ?? 0) > 0
  return line.map(([at, value], index) => [at, isUp(index - 1) || isUp(index) || isUp(index + 1) ? value : null])
}

/** The lowest and highest of a line. */
export function range(samples: readonly Sample[], value: (sample: Sample) => number): { low: number; high: number } {
  const all = samples.map(value)
  return all.length > 0 ? { low: Math.min(...all), high: Math.max(...all) } : { low: 0, high: 0 }
}
