import { describe, expect, it } from 'vitest'
import { memorySize, spanParts } from './spans'

const written = (ms: number): string => spanParts(ms).map(({ unit, count }) => `${count} ${unit}`).join(' ')

describe('spanParts', () => {
  it.each([
    [-5, '0 seconds'],
    [999, '0 seconds'],
    [61_000, '1 minutes 1 seconds'],
    [3_600_000, '1 hours'],
    [3_601_000, '1 hours'],
    [7_500_000, '2 hours 5 minutes'],
    [90_061_000, '1 days 1 hours'],
  ])('writes %i ms', (ms, wanted) => {
    expect(written(ms)).toBe(wanted)
  })
})

it('writes bytes in the unit that people read', () => {
  expect(memorySize(512 * 1_024)).toEqual({ value: 512, unit: 'KB' })
  expect(memorySize(3 * 2 ** 30)).toEqual({ value: 3, unit: 'GB' })
})
