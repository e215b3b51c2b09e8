import { timestampMs } from '@bufbuild/protobuf/wkt'
import { Code, ConnectError } from '@connectrpc/connect'
import type { Event as ChatEvent, Message } from '@gen/stoa/chat/v1/chat_pb'
import type { Entered, Event } from '@gen/stoa/edge/v1/edge_pb'
import type { Broadcast } from '@gen/stoa/live/v1/live_pb'
import { retryAfterMs } from '../api/errors'
import type { Edge, Room, RoomListener } from '../edge/edge'
import { backoffMs } from '../lib/backoff'
import { isAborted, sleep } from '../lib/sleep'
import { Arrivals } from './arrivals'
import { HistoryReader, type End, type HistoryDeps } from './history'

/** `away`: the server ended the connection, and a person has to ask for another. `refused`: there is no such conversation. */
export type FeedStatus = 'connecting' | 'open' | 'reconnecting' | 'away' | 'refused'

export interface FeedDeps extends Omit<HistoryDeps, 'onMessage'> {
  edge: Pick<Edge, 'join'>
  /** Do not count this reader. */
  unseen: boolean
  /** `failure` is why the connection ended, where the server said so. */
  onStatus: (status: FeedStatus, failure?: ConnectError) => void
  /** `live` is false for history: what was written before the room was entered, or while nobody listened. */
  onMessage: (message: Message, live: boolean) => void
  /** The room was entered, not just come back to: what else is known of it may be old. */
  onEntered: () => void
  /** `count` came since the event before; 0 when only the total is told. */
  onLikes: (total: bigint, count: number) => void
  onViewerCount: (count: number) => void
  onBroadcast: (broadcast: Broadcast) => void
}

const retry = { firstMs: 500, maxMs: 15_000 }

/** Follows a live room's conversation until the signal aborts: in order, without gaps, each message once. */
export function followConversation(deps: FeedDeps, signal: AbortSignal): void {
  if (!signal.aborted) new Feed(deps, signal).follow()
}

class Feed implements RoomListener {
  private readonly history: HistoryReader
  private readonly arrivals: Arrivals
  private room: Room | undefined
  /** Ends what is under way for one connection. */
  private stay = new AbortController()
  /** The end of the conversation when the room was entered; undefined where this session has not entered it. */
  private entered: End | undefined
  /** What was written before, by the server's clock, was written while nobody listened. */
  private listeningFromMs = 0

  constructor(
    private readonly deps: FeedDeps,
    private readonly signal: AbortSignal,
  ) {
    const telling = { ...deps, onMessage: (message: Message) => deps.onMessage(message, this.isLive(message)) }
    this.history = new HistoryReader(telling)
    this.arrivals = new Arrivals(telling)
  }

  follow(): void {
    this.deps.onStatus('connecting')
    const { conversationId, unseen } = this.deps
    this.room = this.deps.edge.join(conversationId, { unseen }, this)
    this.signal.addEventListener('abort', () => this.leave())
  }

  onSignedIn(resumed: boolean, atMs: number): void {
    this.newStay()
    if (resumed && this.entered) {
      this.listeningFromMs = atMs
      if (this.arrivals.isHolding) void this.catchUp(this.entered, this.stay.signal)
      else this.deps.onStatus('open')
      return
    }
    this.entered = undefined
    this.arrivals.hold()
    void this.enter(this.stay.signal)
  }

  onCut(failure?: ConnectError): void {
    this.newStay()
    this.deps.onStatus('reconnecting', failure)
  }

  onEnded(failure: ConnectError): void {
    this.newStay()
    this.deps.onStatus('away', failure)
  }

  onEvent({ kind }: Event): void {
    if (kind.case === 'people') this.deps.onViewerCount(kind.value.count)
    else if (kind.case === 'broadcast' && kind.value.broadcast) this.deps.onBroadcast(kind.value.broadcast)
    else if (kind.case === 'chat') this.hear(kind.value)
  }

  private hear(event: ChatEvent): void {
    const { kind } = event
    if (kind.case === 'likes') this.deps.onLikes(kind.value.total, kind.value.count)
    else if (!this.arrivals.push(event)) void this.catchUp(undefined, this.stay.signal)
  }

  private leave(): void {
    this.stay.abort()
    this.room?.leave()
  }

  private newStay(): void {
    this.stay.abort()
    this.stay = new AbortController()
  }

  private async enter(signal: AbortSignal): Promise<void> {
    await this.persist(signal, async () => {
      const entered = await this.room?.enter()
      if (isAborted(signal) || !entered) return
      this.greet(entered)
      await this.catchUp(this.entered, signal)
    })
  }

  private greet({ position, lastChange, people, likeCount }: Entered): void {
    this.entered = { epoch: position?.epoch ?? 0n, seq: position?.seq ?? 0n, change: lastChange }
    this.listeningFromMs = 0
    this.deps.onEntered()
    this.deps.onLikes(likeCount, 0)
    this.deps.onViewerCount(people)
  }

  /** Reads what is missing, and then takes what has come meanwhile. */
  private async catchUp(end: End | undefined, signal: AbortSignal): Promise<void> {
    do {
      const isRead = await this.persist(signal, () => this.history.read(end, signal))
      if (!isRead) return
    } while (!this.arrivals.release())
    this.deps.onStatus('open')
  }

  /** Runs a task until it succeeds; false when the signal has aborted, or there is no such conversation. */
  private async persist(signal: AbortSignal, task: () => Promise<void>): Promise<boolean> {
    for (let attempt = 0; !isAborted(signal); ) {
      try {
        await task()
        return !isAborted(signal)
      } catch (error) {
        if (isAborted(signal)) return false
        const failure = ConnectError.from(error)
        if (failure.code === Code.NotFound || failure.code === Code.InvalidArgument) {
          this.leave()
          this.deps.onStatus('refused', failure)
          return false
        }
        this.deps.onStatus('reconnecting', failure)
        await sleep(Math.max(retryAfterMs(failure), backoffMs(attempt++, retry)), signal)
      }
    }
    return false
  }

  /** True for what was written while this reader was listening. */
  private isLive({ epoch, seq, sentAt }: Message): boolean {
    const isHistory = epoch === this.entered?.epoch && seq <= this.entered.seq
    return !isHistory && (this.listeningFromMs === 0 || !sentAt || timestampMs(sentAt) >= this.listeningFromMs)
  }
}
