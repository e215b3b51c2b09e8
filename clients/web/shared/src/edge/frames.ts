import { fromBinary } from '@bufbuild/protobuf'
import { ServerFrameSchema, type Packed, type ServerFrame } from '@gen/stoa/edge/v1/edge_pb'

/** Whether this browser can unpack frames. */
export const canUnpack = (): boolean => typeof DecompressionStream === 'function'

type Unpacked = { frame: ServerFrame } | { error: unknown }

/**
 * Hands on the frames of one connection in the order in which they came, with packed ones unpacked. Unpacking takes its
 * time; what comes after a packed frame waits for it. The first frame that cannot be read ends it.
 */
export class FrameReader {
  private waiting = 0
  private tail = Promise.resolve()
  private failed = false

  constructor(
    private readonly onFrame: (frame: ServerFrame) => void,
    private readonly onFailure: (error: unknown) => void,
  ) {}

  take(bytes: Uint8Array): void {
    let frame: ServerFrame
    try {
      frame = fromBinary(ServerFrameSchema, bytes)
    } catch (error) {
      this.after(() => this.hand({ error }))
      return
    }
    if (frame.kind.case !== 'packed') {
      this.after(() => this.hand({ frame }))
      return
    }
    const unpacked = unpack(frame.kind.value).then((inner): Unpacked => ({ frame: inner }), (error: unknown): Unpacked => ({ error }))
    this.enqueue(async () => this.hand(await unpacked))
  }

  /** Runs something after all that was taken so far: at once where nothing waits. */
  after(task: () => void): void {
    if (this.waiting === 0) task()
    else this.enqueue(task)
  }

  private enqueue(task: () => Promise<void> | void): void {
    this.waiting++
    this.tail = this.tail.then(task).catch(surface).then(() => {
      this.waiting--
    })
  }

  private hand(unpacked: Unpacked): void {
    if (this.failed) return
    if ('frame' in unpacked) {
      this.onFrame(unpacked.frame)
      return
    }
    this.failed = true
    this.onFailure(unpacked.error)
  }
}

/** A listener that throws is a defect, which is to be seen and must not stop the others. */
function surface(error: unknown): void {
  setTimeout(() => {
    throw error
  })
}

async function unpack({ gzip, size }: Packed): Promise<ServerFrame> {
  const bytes = await inflate(gzip, size)
  const frame = fromBinary(ServerFrameSchema, bytes)
  if (frame.kind.case === 'packed') throw new Error('a packed frame in a packed frame')
  return frame
}

/** Unpacks what is said to have so many bytes. By hand: a Blob and a Response around it cost a busy room more than all else. */
async function inflate(gzip: Uint8Array, size: number): Promise<Uint8Array> {
  const { readable, writable } = new DecompressionStream('gzip')
  const writer = writable.getWriter()
  const written = Promise.all([writer.write(gzip.slice()), writer.close()])
  // Where it fails, reading fails as well, and tells of it.
  written.catch(() => undefined)
  const bytes = new Uint8Array(size)
  const reader = readable.getReader()
  let filled = 0
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (filled + part.value.length > size) throw new Error(`a packed frame of ${size} bytes has more`)
    bytes.set(part.value, filled)
    filled += part.value.length
  }
  if (filled !== size) throw new Error(`a packed frame of ${size} bytes has ${filled}`)
  return bytes
}
