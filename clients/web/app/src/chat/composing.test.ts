import { expect, it } from 'vitest'
import { isComposing } from './composing'

it.each([
  ['an Enter', { isComposing: false, keyCode: 13 }, false],
  ['an Enter that takes a word over', { isComposing: true, keyCode: 229 }, true],
  ['the same in Safari', { isComposing: false, keyCode: 229 }, true],
  ['a key that only says that it composes', { isComposing: true, keyCode: 13 }, true],
] as const)('knows %s', (_name, event, wanted) => {
  expect(isComposing(event)).toBe(wanted)
})
