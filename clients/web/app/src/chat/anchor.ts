/** Where a list is scrolled to, in pixels. */
export interface Place {
  top: number
  /** Of all its content. */
  height: number
  /** Of what can be seen of it. */
  seen: number
}

/** Closer to the end than this counts as being there when the reader scrolls down to it. */
const slack = 40
const rounding = 2

export const distanceFromEnd = ({ top, height, seen }: Place): number => height - top - seen

/**
 * Whether a list goes on following its end after its place has changed. Only a reader scrolls up: a list that grows or
 * is cut, or a keyboard that opens, moves the end away instead, and the list goes after it.
 */
export function followsEnd(followed: boolean, before: Place, now: Place): boolean {
  const distance = distanceFromEnd(now)
  if (distance <= rounding) return true
  const sameBox = now.height >= before.height && now.seen === before.seen
  if (now.top < before.top - 1 && sameBox) return false
  if (now.top > before.top && distance <= slack) return true
  return followed
}
