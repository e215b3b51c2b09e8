import { Code, ConnectError } from '@connectrpc/connect'
import { describe, expect, it } from 'vitest'
import { collect, type Part } from './collect'

const wait = (): Promise<void> => Promise.resolve()

/** A list of numbers in pages of two. */
function pagesOf(all: number[]) {
  return (token: string): Promise<Part<number>> => {
    const from = Number(token || '0')
    return Promise.resolve({ items: all.slice(from, from + 2), nextPageToken: from + 2 < all.length ? String(from + 2) : '' })
  }
}

describe('collect', () => {
  it('reads to the last page and tells how far it is', async () => {
    const counts: number[] = []
    const all = await collect({ read: pagesOf([1, 2, 3, 4, 5]), onProgress: (count) => counts.push(count), signal: new AbortController().signal, wait })
    expect(all).toEqual([1, 2, 3, 4, 5])
    expect(counts).toEqual([2, 4, 5])
  })

  it('is empty where nothing matches', async () => {
    expect(await collect({ read: pagesOf([]), onProgress: () => undefined, signal: new AbortController().signal, wait })).toEqual([])
  })

  it('asks for a page again when the server is away or busy, and doubles nothing', async () => {
    const read = pagesOf([1, 2, 3])
    const failures = [Code.Unavailable, Code.ResourceExhausted]
    const all = await collect({
      read: (token) => {
        const code = token === '2' ? failures.shift() : undefined
        return code === undefined ? read(token) : Promise.reject(new ConnectError('', code))
      },
      onProgress: () => undefined, signal: new AbortController().signal, wait,
    })
    expect(all).toEqual([1, 2, 3])
  })

  it('gives up on a refusal', async () => {
    const read = (): Promise<Part<number>> => Promise.reject(new ConnectError('', Code.PermissionDenied))
    await expect(collect({ read, onProgress: () => undefined, signal: new AbortController().signal, wait })).rejects.toThrow()
  })

  it('gives up on a server that stays away', async () => {
    let calls = 0
    const read = (): Promise<Part<number>> => {
      calls++
      return Promise.reject(new ConnectError('', Code.Unavailable))
    }
    await expect(collect({ read, onProgress: () => undefined, signal: new AbortController().signal, wait, retries: 2 })).rejects.toThrow()
    expect(calls).toBe(3)
  })

  it('brings nothing when it is cancelled', async () => {
    const abort = new AbortController()
    const all = await collect({ read: pagesOf([1, 2, 3, 4]), onProgress: () => abort.abort(), signal: abort.signal, wait })
    expect(all).toBeUndefined()
  })
})
