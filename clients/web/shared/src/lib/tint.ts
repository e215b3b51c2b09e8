const tints = 6

/** A number from 0 to 5 that stays the same for one person, to tell people apart by colour. */
export function tintOf(id: string): number {
  let sum = 0
  for (const char of id) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) >>> 0
  return sum % tints
}
