import type { Message, Position } from '@gen/stoa/chat/v1/chat_pb'
import { backoffMs } from '../lib/backoff'
import { isAborted, sleep } from '../lib/sleep'

type Place = Pick<Position, 'epoch' | 'seq'>

/** Reads stored messages after a place, oldest first, at most `REREAD_PAGE` of them. */
export type ReadPage = (after: Place, signal: AbortSignal) => Promise<readonly Message[]>

/** As many as the server gives in one page. */
export const REREAD_PAGE = 200
/** Readers who lost the same server come back together, and read again over this time. */
const spreadMs = 1_000
const retry = { firstMs: 1_000, maxMs: 30_000 }

/**
 * Reads again what is shown, and tells which of it was taken away in the meantime: a deletion is told once, and who was
 * not listening then never hears of it. Tries until it has the answer or the signal aborts.
 * @param shown one unbroken stretch.
 */
export async function learnDeletions(shown: readonly Message[], read: ReadPage, onDeleted: (at: Place) => void, signal: AbortSignal): Promise<void> {
  const [first, last] = [shown[0], shown.at(-1)]
  if (!first || !last) return
  const readable = new Set(shown.filter(({ deleted }) => !deleted).map(({ seq }) => seq))
  let after = { epoch: first.epoch, seq: first.seq - 1n }
  await sleep(Math.random() * spreadMs, signal)
  for (let attempt = 0; after.seq < last.seq && !isAborted(signal); ) {
    let page: readonly Message[]
    try {
      page = await read(after, signal)
      attempt = 0
    } catch {
      await sleep(backoffMs(attempt++, retry), signal)
      continue
    }
    if (isAborted(signal)) return
    const end = page.at(-1)
    // A history that was lost has other messages at these places: the stream tells of it.
    if (end?.epoch !== after.epoch || end.seq <= after.seq) return
    for (const { epoch, seq, deleted } of page) if (deleted && readable.has(seq)) onDeleted({ epoch, seq })
    after = { epoch: end.epoch, seq: end.seq }
  }
}
