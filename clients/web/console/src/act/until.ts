import { timestampFromMs, type Timestamp } from '@bufbuild/protobuf/wkt'

/** For how long an act holds. */
export type Span = 'tenMinutes' | 'hour' | 'day' | 'week' | 'month' | 'ever' | 'custom'

const hourMs = 3_600_000
const lengths: Record<Exclude<Span, 'ever' | 'custom'>, number> = {
  tenMinutes: hourMs / 6,
  hour: hourMs,
  day: 24 * hourMs,
  week: 7 * 24 * hourMs,
  month: 30 * 24 * hourMs,
}

/** When a span ends that begins now: undefined for never, null for a chosen time that is missing or already past. */
export function endOf(span: Span, chosen: Date | null, nowMs: number): Timestamp | undefined | null {
  if (span === 'ever') return undefined
  if (span !== 'custom') return timestampFromMs(nowMs + lengths[span])
  if (!chosen || Number.isNaN(chosen.getTime()) || chosen.getTime() <= nowMs) return null
  return timestampFromMs(chosen.getTime())
}
