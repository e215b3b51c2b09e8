/** What fits into the lines that a message is cut to, on a narrow screen. */
const mostLines = 6
const widthOfLine = 40

/** Wide characters take the room of two. */
const wide = /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE4F\uFF00-\uFF60\uFFE0-\uFFE6]|\p{Extended_Pictographic}/u

/** About how many Latin letters a text is wide. */
export function widthOf(text: string): number {
  let width = 0
  for (const char of text) width += char > '\u10FF' && wide.test(char) ? 2 : 1
  return width
}

/** About how many lines a text takes. */
export const linesOf = (text: string, width = widthOfLine): number =>
  text.includes('\n')
    ? text.split('\n').reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / width)), 0)
    : Math.max(1, Math.ceil(widthOf(text) / width))

/** True for a message that may be too long to be shown whole among others. */
export const isLong = (text: string): boolean => text.length > mostLines && linesOf(text) > mostLines
