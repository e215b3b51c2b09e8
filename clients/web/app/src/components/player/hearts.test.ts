import { describe, expect, it } from 'vitest'
import { MAX_RISERS, risersOf } from './hearts'

describe('risersOf', () => {
  it('has a heart for each of a few likes', () => {
    expect(risersOf(3, 0, false)).toHaveLength(3)
    expect(risersOf(3, 0, false).every(({ label }) => label === undefined)).toBe(true)
  })

  it('merges a burst into some hearts and a number', () => {
    const hearts = risersOf(200, 0, false)
    expect(hearts.length).toBeLessThan(10)
    expect(hearts.map(({ label }) => label).filter(Boolean)).toEqual(['+200'])
    expect(hearts.at(-1)?.label).toBe('+200')
  })

  it('never has more at once than it may', () => {
    let underway = 0
    for (let i = 0; i < 100; i++) underway += risersOf(50, underway, false).length
    expect(underway).toBe(MAX_RISERS)
  })

  it('has nothing for nothing', () => {
    for (const count of [0, -3, NaN]) expect(risersOf(count, 0, false)).toEqual([])
  })

  it('shows the calm one number at a time, which does not stray', () => {
    const [only, ...others] = risersOf(7, 0, true)
    expect(others).toEqual([])
    expect(only).toMatchObject({ label: '+7', drift: 0 })
    expect(risersOf(7, 1, true)).toEqual([])
  })
})
