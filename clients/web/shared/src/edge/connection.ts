import { Code, ConnectError } from '@connectrpc/connect'
import type { Entered } from '@gen/stoa/edge/v1/edge_pb'
import { backoffMs } from '../lib/backoff'
import { isAborted, sleep } from '../lib/sleep'
import type { CallOptions, Edge, Room, RoomListener } from './edge'
import { verdictOf, type Verdict } from './goodbye'
import { Rooms, type Place } from './rooms'
import { EdgeSession, type SessionDeps } from './session'

export interface EdgeDeps extends Pick<SessionDeps, 'openSocket' | 'accessToken' | 'acceptGzip'> {
  /** Told whether a server was found. */
  onReach?: (found: boolean) => void
}

/** So long an unused connection is kept for the next room, in milliseconds. */
export const LINGER_MS = 10_000
const retry = { firstMs: 500, maxMs: 15_000 }
/** A connection that held for so long was a good one: the next attempt comes soon. */
const steadyMs = 5_000
/** Bytes that a call needs in its frame beside the request. */
const aroundRequest = 300
const comeBack: Verdict = { act: 'again', waitMs: 0, resume: true }

/** The long connection of one tab: comes back after every cut, until nobody needs it or the server wants no more. */
export class EdgeConnection implements Edge {
  private readonly rooms = new Rooms()
  private readonly session: EdgeSession
  /** Rooms that were left while nobody could be told. */
  private readonly leftUntold = new Set<string>()
  private run: AbortController | undefined
  private lingering: ReturnType<typeof setTimeout> | undefined

  constructor(private readonly deps: EdgeDeps) {
    this.session = new EdgeSession({
      ...deps,
      onSignedIn: (resumed, atMs) => this.onSignedIn(resumed, atMs),
      onEvent: (event) => this.rooms.tellEvent(event),
    })
  }

  join(conversationId: string, { unseen }: { unseen: boolean }, listener: RoomListener): Room {
    const place: Place = { unseen, listener }
    this.rooms.add(conversationId, place)
    clearTimeout(this.lingering)
    if (!this.run) this.start()
    else if (this.session.current) queueMicrotask(() => this.greet(conversationId, place))
    return {
      enter: () => this.enter(conversationId),
      leave: () => this.leave(conversationId, place),
    }
  }

  canCall(bytes: number): boolean {
    const { maxCalls = 0, maxFrameBytes = 0 } = this.session.current ?? {}
    return this.session.inFlight < maxCalls && bytes + aroundRequest <= maxFrameBytes
  }

  async call(procedure: string, request: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    const { timeoutMs } = options
    const { response } = await this.session.ask({ case: 'call', value: { procedure, request, timeoutMs } }, 'reply', options)
    return response
  }

  restart(): void {
    this.stop()
    this.session.forget()
    if (this.rooms.isEmpty) return
    this.rooms.tell((listener) => listener.onCut())
    this.start()
  }

  private onSignedIn(resumed: boolean, atMs: number): void {
    this.deps.onReach?.(true)
    // A session that was taken up again is still in the rooms that were left meanwhile.
    for (const conversationId of this.leftUntold) if (resumed && this.rooms.unseen(conversationId) === undefined) this.sayLeft(conversationId)
    this.leftUntold.clear()
    this.rooms.tell((listener) => listener.onSignedIn(resumed, atMs))
  }

  /** Tells somebody who came after the sign-in. */
  private greet(conversationId: string, place: Place): void {
    if (this.session.current && this.rooms.has(conversationId, place)) place.listener.onSignedIn(false, 0)
  }

  private enter(conversationId: string): Promise<Entered> {
    return this.session.ask({ case: 'enter', value: { conversationId, unseen: this.rooms.unseen(conversationId) ?? true } }, 'entered')
  }

  private leave(conversationId: string, place: Place): void {
    const before = this.rooms.unseen(conversationId)
    if (!this.rooms.remove(conversationId, place)) return
    const now = this.rooms.unseen(conversationId)
    if (now === undefined) this.sayLeft(conversationId)
    // Who stays is not counted, or is.
    else if (now !== before && this.session.current) void this.enter(conversationId).catch(() => undefined)
    if (this.rooms.isEmpty) this.lingering = setTimeout(() => this.stop(), LINGER_MS)
  }

  private sayLeft(conversationId: string): void {
    if (this.session.current) void this.session.ask({ case: 'leave', value: { conversationId } }, 'done').catch(() => undefined)
    else this.leftUntold.add(conversationId)
  }

  private start(): void {
    this.run = new AbortController()
    void this.stayConnected(this.run.signal)
  }

  private stop(): void {
    clearTimeout(this.lingering)
    this.run?.abort()
    this.run = undefined
  }

  private async stayConnected(signal: AbortSignal): Promise<void> {
    let refused: string | undefined
    let renewed = false
    for (let attempt = 0; !isAborted(signal); ) {
      let verdict = comeBack
      let atOnce = false
      try {
        const token = await this.deps.accessToken(refused)
        refused = undefined
        if (isAborted(signal)) return
        const { goodbye, signedInMs } = await this.session.connect(token, signal)
        if (isAborted(signal)) return
        if (signedInMs !== undefined) renewed = false
        else if (!goodbye) this.deps.onReach?.(false)
        if (signedInMs !== undefined && signedInMs >= steadyMs) attempt = 0
        if (goodbye) verdict = verdictOf(goodbye)
        if (!verdict.resume) this.session.forget()
        if (verdict.act === 'renew' && !renewed) {
          // Another token is tried at once, but only one.
          refused = token
          renewed = atOnce = true
        }
      } catch (error) {
        if (isAborted(signal)) return
        verdict = { ...comeBack, failure: ConnectError.from(error) }
      }
      if (verdict.act === 'stay') {
        this.giveUp(verdict.failure)
        return
      }
      this.rooms.tell((listener) => listener.onCut(verdict.failure))
      if (!atOnce) await sleep(Math.max(verdict.waitMs, backoffMs(attempt++, retry)), signal)
    }
  }

  private giveUp(failure = new ConnectError('the server ended the connection', Code.Aborted)): void {
    this.run = undefined
    this.rooms.tell((listener) => listener.onEnded(failure))
  }
}
