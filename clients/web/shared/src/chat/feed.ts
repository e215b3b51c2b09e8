import { Code, ConnectError } from '@connectrpc/connect'
import type { Event, Message, Position, Subscribed } from '@gen/stoa/chat/v1/chat_pb'
import type { SubscribeResponse } from '@gen/stoa/chat/v1/chat_service_pb'
import type { Broadcast } from '@gen/stoa/live/v1/live_pb'
import { retryAfterMs } from '../api/errors'
import { backoffMs } from '../lib/backoff'
import { isAborted, sleep } from '../lib/sleep'
import { learnDeletions, type ReadPage } from './deletions'
import type { MessageWindow } from './window'

export type FeedStatus = 'connecting' | 'open' | 'reconnecting' | 'refused'

export interface FeedDeps {
  subscribe: (after: Pick<Position, 'epoch' | 'seq'> | undefined, signal: AbortSignal) => AsyncIterable<SubscribeResponse>
  /** Called when the server refused the stream's token. */
  renewToken: () => Promise<unknown>
  window: MessageWindow
  /** After a cut, what is shown is read again: deletions are told only once. */
  readPage: ReadPage
  /** One unbroken stretch that is shown besides the window's messages. */
  shownBesides?: () => readonly Message[]
  /** `failure` is why the stream ended, where it did not just end. */
  onStatus: (status: FeedStatus, failure?: ConnectError) => void
  /** `live` is false for history: what was written before the stream had said that it is at the end. */
  onMessage: (message: Message, live: boolean) => void
  onDeleted: (at: Pick<Position, 'epoch' | 'seq'>) => void
  onSubscribed: (subscribed: Subscribed) => void
  /** `count` came since the event before; 0 when only the total is told. */
  onLikes: (total: bigint, count: number) => void
  onViewerCount: (count: number) => void
  onBroadcast: (broadcast: Broadcast) => void
}

/** A stream that is silent for this long is dead: the server sends a heartbeat every 15 s. */
export const HEARTBEAT_TIMEOUT_MS = 40_000
const retry = { firstMs: 500, maxMs: 15_000 }

/** Ends one connection so that the next asks again from the last position. */
class Gap extends Error {}

/** Follows a conversation until the signal aborts, resuming from the last message after every cut. */
export async function followConversation(deps: FeedDeps, signal: AbortSignal): Promise<void> {
  let attempt = 0
  let gapAt: bigint | undefined
  let openedAt = 0
  deps.onStatus('connecting')
  while (!isAborted(signal)) {
    let waitMs = 0
    let failure: ConnectError | undefined
    try {
      // A gap that is still there after asking again is the server's truth.
      const acceptGap = gapAt !== undefined && gapAt === deps.window.position?.seq
      openedAt = 0
      await readStream(deps, acceptGap, signal, () => (openedAt = Date.now()))
    } catch (error) {
      if (error instanceof Gap) {
        gapAt = deps.window.position?.seq
        continue
      }
      failure = ConnectError.from(error)
      if (failure.code === Code.NotFound || failure.code === Code.InvalidArgument) {
        deps.onStatus('refused', failure)
        return
      }
      if (failure.code === Code.Unauthenticated) await deps.renewToken().catch(() => undefined)
      waitMs = retryAfterMs(error)
    }
    if (isAborted(signal)) return
    deps.onStatus('reconnecting', failure)
    if (openedAt > 0 && Date.now() - openedAt > 5_000) attempt = 0
    await sleep(Math.max(waitMs, backoffMs(attempt++, retry)), signal)
  }
}

/** Reads one stream to its end; throws when it fails, is silent for too long, or leaves something out. */
async function readStream(deps: FeedDeps, acceptGap: boolean, signal: AbortSignal, onOpen: () => void): Promise<void> {
  const connection = new AbortController()
  const onAbort = (): void => connection.abort()
  let greeted = false
  signal.addEventListener('abort', onAbort)
  const resumed = deps.window.position !== undefined
  let silence = setTimeout(onAbort, HEARTBEAT_TIMEOUT_MS)
  try {
    for await (const { event } of deps.subscribe(deps.window.position, connection.signal)) {
      clearTimeout(silence)
      silence = setTimeout(onAbort, HEARTBEAT_TIMEOUT_MS)
      if (signal.aborted) return
      if (event) {
        dispatch(event, deps, acceptGap, greeted)
        if (event.kind.case === 'subscribed') {
          greeted = true
          onOpen()
          if (resumed) catchUpOnDeletions(deps, connection.signal)
        }
      }
    }
  } finally {
    clearTimeout(silence)
    signal.removeEventListener('abort', onAbort)
    // Also ends the request when the reader left early.
    connection.abort()
  }
}

/** Learns, besides the stream, what was taken away while nobody listened; the next cut begins it anew. */
function catchUpOnDeletions(deps: FeedDeps, signal: AbortSignal): void {
  const kept = deps.window.messages
  const inWindow = new Set(kept.map(({ seq }) => seq))
  const besides = (deps.shownBesides?.() ?? []).filter(({ epoch, seq }) => epoch === kept[0]?.epoch && !inWindow.has(seq))
  for (const stretch of [kept, besides]) void learnDeletions(stretch, deps.readPage, (at) => remove(at, deps), signal)
}

function remove(at: Pick<Position, 'epoch' | 'seq'>, deps: FeedDeps): void {
  deps.window.remove(at)
  deps.onDeleted(at)
}

function dispatch({ kind }: Event, deps: FeedDeps, acceptGap: boolean, live: boolean): void {
  switch (kind.case) {
    case 'message': {
      const arrival = deps.window.add(kind.value, acceptGap)
      if (arrival === 'gap') throw new Gap()
      if (arrival === 'added') deps.onMessage(kind.value, live)
      break
    }
    case 'messageDeleted':
      if (kind.value.position) remove(kind.value.position, deps)
      break
    case 'subscribed':
      deps.onStatus('open')
      deps.onSubscribed(kind.value)
      deps.onLikes(kind.value.likeCount, 0)
      deps.onViewerCount(kind.value.viewerCount)
      break
    case 'likes':
      deps.onLikes(kind.value.total, kind.value.count)
      break
    case 'viewerCount':
      deps.onViewerCount(kind.value.count)
      break
    case 'broadcast':
      deps.onBroadcast(kind.value)
      break
    default:
      // A heartbeat, or something that a newer server tells: hearing it was enough.
      break
  }
}
