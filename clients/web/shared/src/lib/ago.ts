const steps: readonly [unit: Intl.RelativeTimeFormatUnit, ms: number][] = [
  ['year', 365 * 24 * 3_600_000],
  ['month', 30 * 24 * 3_600_000],
  ['day', 24 * 3_600_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
]

/** How long ago a time was, in words of the reader's language: "3 hours ago", "now" within the last minute. */
export function ago(atMs: number, nowMs: number, locale: string): string {
  const format = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' })
  // A clock that is behind the server's sees times to come.
  const past = Math.max(0, nowMs - atMs)
  const step = steps.find(([, ms]) => past >= ms)
  return step ? format.format(-Math.floor(past / step[1]), step[0]) : format.format(0, 'second')
}
