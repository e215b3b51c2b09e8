import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf'
import { ClientFrameSchema, type Goodbye, type ServerFrame, type SignInSchema } from '@gen/stoa/edge/v1/edge_pb'
import { FrameReader } from './frames'

export type FrameInit = MessageInitShape<typeof ClientFrameSchema>

export interface LinkListener {
  onFrame: (frame: ServerFrame) => void
  /** A Ping has gone out: the time to look after what else keeps a connection. */
  onPing: () => void
  /** The link is over; told once, after all frames. Not told when it was closed from here. */
  onEnd: (goodbye?: Goodbye) => void
}

/** So long a link may take to open and to answer the sign-in, in milliseconds. */
export const SIGN_IN_TIMEOUT_MS = 15_000
/** After so long without a frame a link is dead, if a Ping was not answered either, in milliseconds. */
export const DEAD_AFTER_MS = 40_000
/** So long an answer to a Ping may take where the silence is this browser's doing: it slept, or held the timers. */
const answerMs = 10_000
/** Pings come at least this often, in milliseconds. */
const pingEveryMs = 15_000

/** One WebSocket, from the sign-in to its end. Keeps itself alive, and notices when it is not. */
export class Link {
  private readonly reader = new FrameReader((frame) => this.hear(frame), () => this.end())
  private over = false
  private deadline: ReturnType<typeof setTimeout>
  private pinging: ReturnType<typeof setInterval> | undefined
  /** When the first Ping since the last frame went out. */
  private pingedAtMs: number | undefined

  constructor(
    private readonly socket: WebSocket,
    signIn: MessageInitShape<typeof SignInSchema>,
    private readonly listener: LinkListener,
  ) {
    socket.binaryType = 'arraybuffer'
    socket.addEventListener('open', () => this.send({ id: 1, kind: { case: 'signIn', value: signIn } }))
    socket.addEventListener('message', ({ data }) => {
      if (data instanceof ArrayBuffer) this.reader.take(new Uint8Array(data))
      else this.end()
    })
    socket.addEventListener('close', () => this.reader.after(() => this.end()))
    this.deadline = setTimeout(() => this.end(), SIGN_IN_TIMEOUT_MS)
  }

  /** Sends a frame; what a dead link does not take is lost, and its end tells of it. */
  send(frame: FrameInit): void {
    if (!this.over && this.socket.readyState === this.socket.OPEN) this.socket.send(toBinary(ClientFrameSchema, create(ClientFrameSchema, frame)))
  }

  /** Begins to keep the link alive. @param silenceMs after this long without a frame the server ends it. */
  keepAlive(silenceMs: number): void {
    // A little early, since timers are late.
    const everyMs = silenceMs > 0 ? Math.min(pingEveryMs, silenceMs * 0.4) : pingEveryMs
    this.pinging = setInterval(() => {
      this.ping()
      this.listener.onPing()
    }, everyMs)
    this.expect(DEAD_AFTER_MS)
  }

  /** Ends the link from here, without a word. */
  close(): void {
    if (this.over) return
    this.over = true
    clearTimeout(this.deadline)
    clearInterval(this.pinging)
    this.socket.close(1000)
  }

  private end(goodbye?: Goodbye): void {
    if (this.over) return
    this.close()
    this.listener.onEnd(goodbye)
  }

  private hear(frame: ServerFrame): void {
    if (this.over) return
    this.pingedAtMs = undefined
    if (this.pinging !== undefined) this.expect(DEAD_AFTER_MS)
    if (frame.kind.case === 'goodbye') this.end(frame.kind.value)
    else this.listener.onFrame(frame)
  }

  private ping(): void {
    this.pingedAtMs ??= Date.now()
    this.send({ kind: { case: 'ping', value: {} } })
  }

  /** Ends the link unless something is heard in time. */
  private expect(withinMs: number): void {
    clearTimeout(this.deadline)
    this.deadline = setTimeout(() => {
      if (this.pingedAtMs !== undefined && Date.now() - this.pingedAtMs >= answerMs) {
        this.end()
        return
      }
      this.ping()
      this.expect(answerMs)
    }, withinMs)
  }
}
