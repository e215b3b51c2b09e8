import { describe, expect, it } from 'vitest'
import { followsEnd, type Place } from './anchor'

const place = (top: number, height = 1_000, seen = 400): Place => ({ top, height, seen })
const end = place(600)

describe('followsEnd', () => {
  it.each<[string, boolean, Place, Place, boolean]>([
    ['stays when nothing moves', true, end, end, true],
    ['stays when messages come', true, end, place(600, 1_200), true],
    ['stays when old messages are cut off', true, end, place(400, 900), true],
    ['stays when a keyboard opens', true, end, place(560, 1_000, 200), true],
    ['leaves with the first scroll up, however small', true, end, place(590), false],
    ['leaves with a scroll up while messages come', true, end, place(560, 1_100), false],
    ['leaves with a jump to the top', true, end, place(0), false],
    ['does not come back by scrolling on up', false, place(580), place(570), false],
    ['does not come back in the middle', false, place(100), place(300), false],
    ['comes back near the end', false, place(500), place(570), true],
    ['comes back at the very end', false, place(500), end, true],
    ['stays through the bounce at the end', true, place(630), place(600), true],
    ['is not moved by older messages that come before', false, place(0), place(2_700, 3_700), false],
  ])('%s', (_name, followed, before, now, wanted) => {
    expect(followsEnd(followed, before, now)).toBe(wanted)
  })
})
