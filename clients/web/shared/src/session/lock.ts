import { newId } from '../lib/ids'
import { sleep } from '../lib/sleep'
import type { KeyValueStore } from './record'

/** Runs one task at a time among all tabs of this browser. */
export type TabLock = <T>(task: () => Promise<T>) => Promise<T>

const LOCK_NAME = 'stoa.session'
const LEASE_KEY = 'stoa.session.lease'

/** The best lock this page can have: Web Locks need a secure context; elsewhere a lease in the shared storage serves. */
export function tabLock(store: KeyValueStore): TabLock {
  // Absent on plain http, whatever the type says.
  const locks = (navigator as { locks?: LockManager }).locks
  if (locks) return (task) => locks.request(LOCK_NAME, task)
  return leaseLock(store)
}

export interface LeaseOptions {
  /** After this long a holder is taken for dead, in milliseconds; longer than any task. */
  leaseMs?: number
  /** How long a claim must stand unchallenged before it counts, in milliseconds. */
  settleMs?: number
  now?: () => number
  /** Tells when the page goes away, which frees the lock. */
  page?: EventTarget
}

interface Lease {
  owner: string
  untilMs: number
}

/**
 * A lock made of a lease in shared storage. Storage has no compare-and-set, so a claim is written, left to stand for a
 * moment, and read back: of several writers the last one wins, and the others see that they lost.
 */
export function leaseLock(store: KeyValueStore, options: LeaseOptions = {}): TabLock {
  const { leaseMs = 30_000, settleMs = 40, now = Date.now, page = window } = options

  function read(): Lease | undefined {
    try {
      const lease = JSON.parse(store.getItem(LEASE_KEY) ?? 'null') as Lease | null
      return lease && lease.untilMs > now() ? lease : undefined
    } catch {
      return undefined
    }
  }

  return async (task) => {
    const owner = newId()
    for (;;) {
      if (!read()) {
        store.setItem(LEASE_KEY, JSON.stringify({ owner, untilMs: now() + leaseMs }))
        await sleep(settleMs)
        if (read()?.owner === owner) break
      }
      await sleep(settleMs * (1 + Math.random()))
    }
    const release = (): void => {
      if (read()?.owner === owner) store.removeItem(LEASE_KEY)
    }
    page.addEventListener('pagehide', release)
    try {
      return await task()
    } finally {
      page.removeEventListener('pagehide', release)
      release()
    }
  }
}
