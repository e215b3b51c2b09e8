import type { Emoji, Group } from './emoji'

/** A row of the picker's grid: the heading of a part, or its emoji. Each emoji has its number in the whole grid. */
export type Row =
  | { kind: 'head'; part: Part }
  | { kind: 'cells'; part: Part; first: number; emoji: readonly Emoji[] }
export type Part = Group | 'recent' | 'found'

export type Step = 'left' | 'right' | 'up' | 'down' | 'first' | 'last'

/** Lays parts out in rows of so many columns. */
export function layRows(parts: readonly { part: Part; emoji: readonly Emoji[] }[], columns: number): Row[] {
  const rows: Row[] = []
  let first = 0
  for (const { part, emoji } of parts) {
    if (emoji.length === 0) continue
    if (part !== 'found') rows.push({ kind: 'head', part })
    for (let at = 0; at < emoji.length; at += columns) {
      const cells = emoji.slice(at, at + columns)
      rows.push({ kind: 'cells', part, first, emoji: cells })
      first += cells.length
    }
  }
  return rows
}

/** The number of the emoji that a step leads to; undefined in an empty grid. Steps up and down keep the column. */
export function stepIn(rows: readonly Row[], at: number | undefined, step: Step): number | undefined {
  const lines = rows.filter((row) => row.kind === 'cells')
  const last = lines.at(-1)
  if (!last) return undefined
  const end = last.first + last.emoji.length - 1
  if (at === undefined) return step === 'last' ? end : 0
  if (step === 'first') return 0
  if (step === 'last') return end
  if (step === 'left' || step === 'right') return Math.max(0, Math.min(end, at + (step === 'left' ? -1 : 1)))
  const line = lines.findIndex((row) => at < row.first + row.emoji.length)
  const [from, to] = [lines[line], lines[line + (step === 'up' ? -1 : 1)]]
  if (!from || !to) return at
  return to.first + Math.min(at - from.first, to.emoji.length - 1)
}
