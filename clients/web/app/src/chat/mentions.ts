import { fold, type KnownNames } from './names'

/** A stretch of a message; a mention with its "@". */
export interface Span {
  text: string
  mention?: 'me' | 'other'
}

const longestName = 32
/** Nobody names more people at once; somebody may write five hundred signs. */
const mostLookedAt = 10
const word = /[\p{L}\p{N}_]/u
/** Scripts that write without spaces: a name may touch the next word. */
const dense = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u

const joined = (before: string | undefined, after: string | undefined): boolean =>
  before !== undefined && after !== undefined && word.test(before) && word.test(after) && !dense.test(before) && !dense.test(after)

/** Splits a message where it names people: `me`, or anyone known. The longest name wins. */
export function findMentions(text: string, me: string | undefined, known: Pick<KnownNames, 'has'>): Span[] {
  if (!text.includes('@')) return [{ text }]
  const mine = fold(me ?? '')
  const chars = Array.from(text)
  const spans: Span[] = []
  let plain = ''
  let lookedAt = 0
  for (let at = 0; at < chars.length; at++) {
    const named = chars[at] === '@' && !joined(chars[at - 1], 'a') && lookedAt++ < mostLookedAt
    const found = named ? nameAt(chars, at + 1, mine, known) : undefined
    if (!found) {
      plain += chars[at] ?? ''
      continue
    }
    if (plain) spans.push({ text: plain })
    plain = ''
    spans.push({ text: chars.slice(at, found.end).join(''), mention: found.me ? 'me' : 'other' })
    at = found.end - 1
  }
  if (plain) spans.push({ text: plain })
  return spans
}

function nameAt(chars: readonly string[], from: number, mine: string, known: Pick<KnownNames, 'has'>): { end: number; me: boolean } | undefined {
  for (let end = Math.min(chars.length, from + longestName); end > from; end--) {
    const last = chars[end - 1] ?? ''
    if (last.trim() === '' || joined(last, chars[end])) continue
    const name = fold(chars.slice(from, end).join(''))
    if (name === mine) return { end, me: true }
    if (known.has(name)) return { end, me: false }
  }
  return undefined
}

/** What answering someone puts before one's words. */
export const mentionOf = (name: string): string => `@${name.trim()} `
