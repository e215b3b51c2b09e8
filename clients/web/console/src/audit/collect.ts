import { isConnectionFailure, retryAfterMs } from '@stoa/shared/api/errors'
import { Code, ConnectError } from '@connectrpc/connect'
import { backoffMs } from '@stoa/shared/lib/backoff'
import { isAborted, sleep } from '@stoa/shared/lib/sleep'

export interface Part<Item> {
  items: readonly Item[]
  nextPageToken: string
}

export interface CollectOptions<Item> {
  read: (pageToken: string, signal: AbortSignal) => Promise<Part<Item>>
  onProgress: (count: number) => void
  signal: AbortSignal
  /** How often a page is asked for again when the server is away or busy. */
  retries?: number
  wait?: (ms: number, signal: AbortSignal) => Promise<void>
}

/** Everything that matches, page after page. Throws when a page cannot be had; returns undefined when it was cancelled. */
export async function collect<Item>({ read, onProgress, signal, retries = 5, wait = sleep }: CollectOptions<Item>): Promise<Item[] | undefined> {
  const all: Item[] = []
  let token = ''
  let failures = 0
  for (;;) {
    if (isAborted(signal)) return undefined
    try {
      const part = await read(token, signal)
      failures = 0
      all.push(...part.items)
      onProgress(all.length)
      token = part.nextPageToken
      if (!token) return isAborted(signal) ? undefined : all
    } catch (error) {
      if (isAborted(signal)) return undefined
      const mayPass = isConnectionFailure(error) || ConnectError.from(error).code === Code.ResourceExhausted
      if (!mayPass || failures++ >= retries) throw error
      await wait(Math.max(retryAfterMs(error), backoffMs(failures, { firstMs: 500, maxMs: 8_000 })), signal)
    }
  }
}
