import { describe, expect, it } from 'vitest'
import { backoffMs } from './backoff'

describe('backoffMs', () => {
  const options = { firstMs: 500, maxMs: 8_000 }

  it('doubles up to its bound', () => {
    expect([0, 1, 2, 3, 4, 5, 100].map((attempt) => backoffMs(attempt, options, () => 0))).toEqual([
      500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000,
    ])
  })

  it('takes off up to half at random', () => {
    expect(backoffMs(2, options, () => 1)).toBe(1_000)
    expect(backoffMs(2, options, () => 0.5)).toBe(1_500)
  })
})
