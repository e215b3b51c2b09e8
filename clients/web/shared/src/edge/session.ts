import { timestampMs } from '@bufbuild/protobuf/wkt'
import type { Event, Goodbye, ServerFrame, SignedIn } from '@gen/stoa/edge/v1/edge_pb'
import { cutOff } from './errors'
import { Link } from './link'
import { Progress } from './progress'
import { Requests, type AskOptions } from './requests'

export interface SessionDeps {
  openSocket: () => WebSocket
  /** A token to sign in with; another one than the refused. */
  accessToken: (refused?: string) => Promise<string>
  /** Whether packed frames are taken. */
  acceptGzip: boolean
  onSignedIn: (resumed: boolean, atMs: number) => void
  onEvent: (event: Event) => void
}

/** How a connection went. */
export interface ConnectionEnd {
  goodbye?: Goodbye
  /** How long it was signed in, in milliseconds; undefined where it never was. */
  signedInMs?: number
}

type Ask = Parameters<Requests['ask']>[1]
type Answers = Parameters<Requests['ask']>[2]

/** The session of one tab: over one connection after the other, as long as the server takes it up again. */
export class EdgeSession {
  private readonly requests = new Requests()
  private link: Link | undefined
  private signedIn: SignedIn | undefined
  private progress: Progress | undefined
  private cutAtMs = 0
  private resumeMs = 0
  private token = ''

  constructor(private readonly deps: SessionDeps) {}

  /** What the server said at the sign-in; undefined while there is no connection. */
  get current(): SignedIn | undefined {
    return this.signedIn
  }

  /** Requests that wait for their answers. */
  get inFlight(): number {
    return this.requests.size
  }

  /** Sends a frame and waits for its answer. Throws a ConnectError; UNAVAILABLE where there is no connection. */
  ask<C extends Answers>(kind: Ask, expected: C, options?: AskOptions) {
    if (!this.link || !this.signedIn) return Promise.reject(cutOff())
    return this.requests.ask(this.link, kind, expected, options)
  }

  /** Gives the session up: the next connection begins a new one. */
  forget(): void {
    this.progress?.pause()
    this.progress = undefined
  }

  /** Signs in over a new connection, and returns when that is over, or when the signal has aborted it. */
  async connect(token: string, signal: AbortSignal): Promise<ConnectionEnd> {
    this.token = token
    let signedInAtMs: number | undefined
    let leave = (): void => undefined
    const goodbye = await new Promise<Goodbye | undefined>((resolve) => {
      const link = new Link(this.deps.openSocket(), { accessToken: token, acceptGzip: this.deps.acceptGzip, resume: this.resume() }, {
        onFrame: (frame) => {
          if (frame.kind.case === 'signedIn') {
            signedInAtMs = Date.now()
            this.begin(link, frame.kind.value)
          } else this.take(frame)
        },
        onPing: () => void this.renew(link),
        onEnd: (said) => {
          this.cut()
          resolve(said)
        },
      })
      this.link = link
      leave = () => {
        link.close()
        this.cut()
        resolve(undefined)
      }
      signal.addEventListener('abort', leave)
    })
    signal.removeEventListener('abort', leave)
    return { goodbye, signedInMs: signedInAtMs && Date.now() - signedInAtMs }
  }

  private resume() {
    if (!this.progress || Date.now() - this.cutAtMs > this.resumeMs) return undefined
    return { sessionId: this.progress.sessionId, received: this.progress.received }
  }

  private begin(link: Link, signedIn: SignedIn): void {
    this.signedIn = signedIn
    this.resumeMs = signedIn.resumeMs
    if (!signedIn.resumed || !this.progress) {
      this.forget()
      this.progress = new Progress(signedIn.sessionId, (received) => this.link?.send({ kind: { case: 'ack', value: { received } } }))
    }
    link.keepAlive(signedIn.silenceMs)
    this.deps.onSignedIn(signedIn.resumed, signedIn.serverTime ? timestampMs(signedIn.serverTime) : 0)
  }

  private take(frame: ServerFrame): void {
    if (frame.id > 0) this.requests.answer(frame)
    if (frame.kind.case !== 'push') return
    this.progress?.add()
    for (const event of frame.kind.value.events) this.deps.onEvent(event)
  }

  /** The connection is over; the session waits for the next one. */
  private cut(): void {
    if (this.signedIn) this.cutAtMs = Date.now()
    this.link = this.signedIn = undefined
    this.progress?.pause()
    this.requests.failAll()
  }

  /** Brings the session's token once it was renewed, which asking for it does. */
  private async renew(link: Link): Promise<void> {
    try {
      const token = await this.deps.accessToken()
      if (token === this.token || this.link !== link) return
      this.token = token
      await this.requests.ask(link, { case: 'renew', value: { accessToken: token } }, 'done')
    } catch {
      // Tried again with the next Ping. A token that the server does not take ends the connection, with its reason.
    }
  }
}
