import { expect, it } from 'vitest'
import { isLong, linesOf } from './longText'

it.each([
  ['a word', 'hello', false],
  ['a sentence', 'x'.repeat(200), false],
  ['500 letters', 'x'.repeat(500), true],
  ['60 line breaks', 'a\n'.repeat(60), true],
  ['a few lines', 'a\nb\nc', false],
  ['100 Chinese characters', '好'.repeat(100), false],
  ['200 Chinese characters', '好'.repeat(200), true],
  ['500 emoji', '🎉'.repeat(250), true],
])('knows whether %s is long', (_name, text, long) => {
  expect(isLong(text)).toBe(long)
})

it('counts empty lines', () => {
  expect(linesOf('a\n\n\nb')).toBe(4)
})
