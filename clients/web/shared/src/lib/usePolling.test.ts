import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'
import { usePolling } from './usePolling'

/** A task whose runs end when they are told to. */
function poll() {
  const ends: (() => void)[] = []
  const task = vi.fn(() => new Promise<void>((resolve) => void ends.push(resolve)))
  const scope = effectScope()
  const refresh = scope.run(() => usePolling(task, 1_000)) ?? (() => Promise.resolve())
  return { task, scope, refresh, end: () => ends.shift()?.() }
}

describe('usePolling', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    vi.stubGlobal('document', Object.assign(new EventTarget(), { visibilityState: 'visible' }))
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  it('runs at once and then now and then, until its scope ends', async () => {
    const { task, scope, end } = poll()
    end()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(task).toHaveBeenCalledTimes(2)
    end()
    scope.stop()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(task).toHaveBeenCalledTimes(2)
  })

  it('runs once more for those who asked while it was running, and answers them then', async () => {
    const { task, refresh, end } = poll()
    const answered = vi.fn()
    void refresh().then(answered)
    void refresh().then(answered)
    expect(task).toHaveBeenCalledTimes(1)
    end()
    await vi.advanceTimersByTimeAsync(0)
    expect([task.mock.calls.length, answered.mock.calls.length]).toEqual([2, 0])
    end()
    await vi.advanceTimersByTimeAsync(0)
    expect([task.mock.calls.length, answered.mock.calls.length]).toEqual([2, 2])
  })

  it('runs no more for a page that is gone', async () => {
    const { task, scope, refresh, end } = poll()
    const asked = refresh()
    scope.stop()
    end()
    await asked
    expect(task).toHaveBeenCalledTimes(1)
  })
})
