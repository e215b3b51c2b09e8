import { describe, expect, it } from 'vitest'
import { clock } from './clock'

describe('clock', () => {
  it.each([
    [-1, '0:00'],
    [7_900, '0:07'],
    [725_000, '12:05'],
    [3_723_000, '1:02:03'],
    [360_000_000, '100:00:00'],
  ])('shows %d ms', (ms, wanted) => {
    expect(clock(ms)).toBe(wanted)
  })
})
