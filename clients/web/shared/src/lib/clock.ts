/** A length of time as a clock shows it: "0:07", "12:05", "1:02:03". */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60]
  const hours = Math.floor(seconds / 3_600)
  if (hours > 0) parts.unshift(hours)
  return parts.map((part, i) => (i > 0 ? String(part).padStart(2, '0') : String(part))).join(':')
}
