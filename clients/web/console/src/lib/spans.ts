export type SpanUnit = 'days' | 'hours' | 'minutes' | 'seconds'

const units: readonly [SpanUnit, number][] = [['days', 86_400], ['hours', 3_600], ['minutes', 60], ['seconds', 1]]

/** A length of time in its two largest units, such as 2 hours 5 minutes. */
export function spanParts(ms: number): { unit: SpanUnit; count: number }[] {
  let rest = Math.max(0, Math.floor(ms / 1_000))
  const parts: { unit: SpanUnit; count: number }[] = []
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0) parts.push({ unit, count })
    if (parts.length === 2 || (parts.length === 1 && count === 0)) break
  }
  return parts.length > 0 ? parts : [{ unit: 'seconds', count: 0 }]
}

/** Bytes in the unit that people read. */
export function memorySize(bytes: number): { value: number; unit: string } {
  const names = ['KB', 'MB', 'GB', 'TB']
  let value = bytes / 1_024
  let index = 0
  while (value >= 1_024 && index < names.length - 1) {
    value /= 1_024
    index++
  }
  return { value, unit: names[index] ?? 'KB' }
}
