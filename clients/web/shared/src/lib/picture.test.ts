import { describe, expect, it } from 'vitest'
import { middleSquare, within } from './picture'

describe('within', () => {
  const box = { width: 1280, height: 720 }
  it.each([
    ['a large picture', { width: 2560, height: 1440 }, { width: 1280, height: 720 }],
    ['a tall one', { width: 1080, height: 1920 }, { width: 405, height: 720 }],
    ['a wide one', { width: 4000, height: 100 }, { width: 1280, height: 32 }],
    ['a small one, as it is', { width: 320, height: 180 }, { width: 320, height: 180 }],
    ['a line', { width: 10_000, height: 1 }, { width: 1280, height: 1 }],
  ])('fits %s', (_name, source, to) => {
    expect(within(source, box)).toEqual({ from: { x: 0, y: 0, ...source }, to })
  })
})

describe('middleSquare', () => {
  it('takes the middle of a wide picture', () => {
    expect(middleSquare({ width: 1000, height: 600 }, 256)).toEqual({
      from: { x: 200, y: 0, width: 600, height: 600 },
      to: { width: 256, height: 256 },
    })
  })
  it('makes a small one no larger', () => {
    expect(middleSquare({ width: 99, height: 120 }, 256)).toEqual({
      from: { x: 0, y: 10, width: 99, height: 99 },
      to: { width: 99, height: 99 },
    })
  })
})
