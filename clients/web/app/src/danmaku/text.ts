/** Longer messages end in an ellipsis, counted as a reader counts letters. */
export const MAX_GRAPHEMES = 60
/** A letter with more code points than this is a heap of marks; only the longest emoji families come near. */
const maxCodePoints = 12
const maxMarks = 4

/** Letters that show nothing but take room, and all kinds of white space. */
const blank = /(?:(?!\ufeff)[\s\u115f\u1160\u2800\u3164\uffa0])+/gu
const control = /\p{Cc}/gu
/** Format characters: direction, joiners, tags, soft hyphens. */
const format = /\p{Cf}/gu
/** As above, without those that make one emoji out of several or shape Persian and Indic letters. */
const formatButJoiners = /(?![\u200c\u200d])\p{Cf}/gu
const pictograph = /\p{Extended_Pictographic}/u
const mark = /\p{M}/gu

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/**
 * A message as one line to be drawn: no control or format characters that move or hide other text, no heaps of marks, at
 * most MAX_GRAPHEMES letters. Empty when nothing visible is left.
 */
export function lineOf(text: string): string {
  // Far more than can be shown; what comes after is not worth the time.
  const plain = text.slice(0, 2_000).replace(blank, ' ').replace(control, '')
  let line = ''
  let count = 0
  for (const { segment } of segmenter.segment(plain)) {
    const letter = clean(segment)
    if (letter === '' || (letter === ' ' && (line === '' || line.endsWith(' ')))) continue
    if (count === MAX_GRAPHEMES) return `${line.trimEnd()}…`
    line += letter
    count++
  }
  return line.trimEnd()
}

function clean(segment: string): string {
  const points = Array.from(segment)
  if (pictograph.test(segment)) return points.length > maxCodePoints ? (points[0] ?? '') : segment
  const letter = segment.replace(formatButJoiners, '')
  // Joiners and marks with nothing to join or to stand on are there to deceive.
  if (letter.replace(format, '').replace(mark, '') === '') return ''
  let marks = 0
  return letter.replace(mark, (found) => (++marks > maxMarks ? '' : found)).slice(0, maxCodePoints * 2)
}

/** Emoji of one sign, which some fonts for letters have in black and white. */
const loneEmoji = /(?!\p{Regional_Indicator}|\p{Emoji_Modifier})\p{Emoji_Presentation}(?!\p{Emoji_Modifier}|[\ufe0e\ufe0f\u200d])/gu

/** The line as it is drawn: kept apart from what is around it, in its own direction, with its emoji in colour. */
export const isolated = (line: string): string => `\u2068${line.replace(loneEmoji, '$&\ufe0f')}\u2069`
