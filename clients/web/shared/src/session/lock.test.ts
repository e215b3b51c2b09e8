import { describe, expect, it } from 'vitest'
import { sleep } from '../lib/sleep'
import { leaseLock } from './lock'

function sharedStore() {
  const values = new Map<string, string>()
  return {
    getItem: (key: string) => values.get(key) ?? null,
    setItem: (key: string, value: string) => void values.set(key, value),
    removeItem: (key: string) => void values.delete(key),
  }
}

const page = new EventTarget()

describe('leaseLock', () => {
  it('lets one task run at a time', async () => {
    const store = sharedStore()
    let inside = 0
    let most = 0
    const task = async (): Promise<void> => {
      most = Math.max(most, ++inside)
      await sleep(3)
      inside--
    }
    await Promise.all(Array.from({ length: 8 }, () => leaseLock(store, { settleMs: 2, page })(task)))
    expect(most).toBe(1)
  })

  it('is free again after a task that failed', async () => {
    const lock = leaseLock(sharedStore(), { settleMs: 1, page })
    await expect(lock(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await expect(lock(() => Promise.resolve('yes'))).resolves.toBe('yes')
  })

  it('takes a holder that vanished for dead after a while', async () => {
    const store = sharedStore()
    void leaseLock(store, { settleMs: 1, leaseMs: 30, page })(() => new Promise(() => undefined))
    await sleep(10)
    await expect(leaseLock(store, { settleMs: 1, page })(() => Promise.resolve('mine'))).resolves.toBe('mine')
  })

  it('is freed by a page that goes away', async () => {
    const store = sharedStore()
    const leaving = new EventTarget()
    void leaseLock(store, { settleMs: 1, page: leaving })(() => new Promise(() => undefined))
    await sleep(10)
    leaving.dispatchEvent(new Event('pagehide'))
    await expect(leaseLock(store, { settleMs: 1, page })(() => Promise.resolve('mine'))).resolves.toBe('mine')
  })
})
