import { expect, it } from 'vitest'
import { isComposing } from './composing'

it.each([
  ['an Enter', false, 13, false],
  ['an Enter that takes a word over', true, 229, true],
  ['the same in Safari', false, 229, true],
  ['a key that only says that it composes', true, 13, true],
])('knows %s', (_name, composing, keyCode, wanted) => {
  expect(isComposing({ isComposing: composing, keyCode })).toBe(wanted)
})
