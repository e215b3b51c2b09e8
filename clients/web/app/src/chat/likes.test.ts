import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createLikeTaps } from './likes'

describe('createLikeTaps', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('merges the taps of a second into one call', async () => {
    const send = vi.fn(() => Promise.resolve())
    const taps = createLikeTaps(send, vi.fn())
    for (let i = 0; i < 7; i++) taps.tap()
    expect(taps.open).toBe(7)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(send.mock.calls).toEqual([[7]])
    expect(taps.open).toBe(0)
  })

  it('never sends more than a call may carry', async () => {
    const send = vi.fn(() => Promise.resolve())
    const taps = createLikeTaps(send, vi.fn())
    for (let i = 0; i < 120; i++) taps.tap()
    await vi.advanceTimersByTimeAsync(3_000)
    expect(send.mock.calls).toEqual([[50], [50], [20]])
  })

  it('tells how many taps were lost', async () => {
    const refused = vi.fn()
    const taps = createLikeTaps(() => Promise.reject(new Error('no')), refused)
    taps.tap()
    taps.tap()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(refused.mock.calls).toEqual([[2]])
  })
})
