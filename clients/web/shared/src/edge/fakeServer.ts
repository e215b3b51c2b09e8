/** The other end of a tab's connection, for tests: it hears frames and says what it is told to. */
import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf'
import {
  ClientFrameSchema, PackedSchema, ServerFrameSchema, type ClientFrame, type EventSchema, type GoodbyeSchema, type Packed, type SignedInSchema,
} from '@gen/stoa/edge/v1/edge_pb'

type Kind = NonNullable<MessageInitShape<typeof ServerFrameSchema>['kind']>
type EventInit = MessageInitShape<typeof EventSchema>
type Heard<C> = Extract<ClientFrame['kind'], { case: C }>['value']

/** What a server does with large frames. */
export async function pack(frame: MessageInitShape<typeof ServerFrameSchema>): Promise<Packed> {
  const bytes = toBinary(ServerFrameSchema, create(ServerFrameSchema, frame))
  const stream = new Blob([bytes.slice()]).stream().pipeThrough(new CompressionStream('gzip'))
  return create(PackedSchema, { gzip: new Uint8Array(await new Response(stream).arrayBuffer()), size: bytes.length })
}

/** As much of a WebSocket as a connection uses. */
export class FakeSocket extends EventTarget {
  readonly OPEN = 1
  readyState = 0
  binaryType = ''
  closeCode: number | undefined
  readonly heard: ClientFrame[] = []

  constructor(private readonly onHeard: (socket: FakeSocket, frame: ClientFrame) => void) {
    super()
  }

  send(bytes: Uint8Array): void {
    const frame = fromBinary(ClientFrameSchema, bytes)
    this.heard.push(frame)
    this.onHeard(this, frame)
  }

  close(code: number): void {
    this.closeCode ??= code
    this.readyState = 3
  }

  open(): void {
    this.readyState = 1
    this.dispatchEvent(new Event('open'))
  }

  /** The network goes, without a word. */
  cut(): void {
    this.readyState = 3
    this.dispatchEvent(new Event('close'))
  }

  sayBytes(bytes: Uint8Array): void {
    if (this.readyState !== 1) return
    const data = bytes.slice().buffer
    this.dispatchEvent(Object.assign(new Event('message'), { data }))
  }

  say(kind: Kind, id = 0): void {
    this.sayBytes(toBinary(ServerFrameSchema, create(ServerFrameSchema, { id, kind })))
  }

  push(...events: EventInit['kind'][]): void {
    this.say({ case: 'push', value: { events: events.map((kind) => ({ kind })) } })
  }

  goodbye(goodbye: MessageInitShape<typeof GoodbyeSchema>): void {
    this.say({ case: 'goodbye', value: goodbye })
    this.cut()
  }

  /** What was heard of one kind. */
  all<C extends NonNullable<ClientFrame['kind']['case']>>(kind: C): Heard<C>[] {
    return this.heard.filter((frame) => frame.kind.case === kind).map((frame) => frame.kind.value as Heard<C>)
  }
}

/** A server that lets everybody in, unless it is told otherwise. */
export class FakeServer {
  readonly sockets: FakeSocket[] = []
  /** Whether sessions are taken up again. */
  resumes = true
  isAway = false
  /** Nobody is answered. */
  isSilent = false
  /** How long an answer takes, in milliseconds. */
  latencyMs = 0
  /** Said to a sign-in instead of an answer. */
  refusal: MessageInitShape<typeof GoodbyeSchema> | undefined
  signedIn: MessageInitShape<typeof SignedInSchema> = { silenceMs: 60_000, resumeMs: 120_000, maxCalls: 8, maxFrameBytes: 65_536 }
  /** Answers frames; those that it does not know stay without an answer. */
  answer = ({ kind }: ClientFrame): Kind | undefined => {
    switch (kind.case) {
      case 'enter':
        return { case: 'entered', value: { position: { epoch: 1n, seq: 0n }, people: 3, likeCount: 5n } }
      case 'leave':
      case 'renew':
        return { case: 'done', value: {} }
      case 'ping':
        return { case: 'pong', value: {} }
      default:
        return undefined
    }
  }

  readonly openSocket = (): WebSocket => {
    const socket = new FakeSocket((from, frame) => this.hear(from, frame))
    this.sockets.push(socket)
    setTimeout(() => {
      if (this.isAway) socket.cut()
      else socket.open()
    })
    return socket as unknown as WebSocket
  }

  /** The connection at hand. */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1)
    if (!socket) throw new Error('nobody has connected')
    return socket
  }

  private hear(socket: FakeSocket, frame: ClientFrame): void {
    // A network takes its time.
    setTimeout(() => {
      if (this.isSilent) return
      if (frame.kind.case === 'signIn') this.letIn(socket, frame)
      else {
        const answer = this.answer(frame)
        if (answer) socket.say(answer, frame.id)
      }
    }, this.latencyMs)
  }

  private letIn(socket: FakeSocket, { id, kind }: ClientFrame): void {
    if (this.refusal) {
      socket.goodbye(this.refusal)
      return
    }
    const resume = kind.case === 'signIn' ? kind.value.resume : undefined
    const resumed = this.resumes && resume !== undefined
    const sessionId = resumed ? resume.sessionId : `node.session-${this.sockets.length}`
    socket.say({ case: 'signedIn', value: { ...this.signedIn, sessionId, resumed } }, id)
  }
}
