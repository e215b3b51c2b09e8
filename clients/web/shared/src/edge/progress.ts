/** So many pushes may be without an ack. */
export const ACK_EVERY = 50n
/** So long a push may be without an ack, in milliseconds. */
export const ACK_WITHIN_MS = 5_000

/** How far one session has been received, over all its connections. */
export class Progress {
  private count = 0n
  private acked = 0n
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    readonly sessionId: string,
    private readonly sendAck: (received: bigint) => void,
  ) {}

  /** Push frames received. */
  get received(): bigint {
    return this.count
  }

  /** Counts one Push frame. */
  add(): void {
    this.count++
    if (this.count - this.acked >= ACK_EVERY) this.ack()
    else this.timer ??= setTimeout(() => this.ack(), ACK_WITHIN_MS)
  }

  /** The connection is gone, and with it whoever would hear an ack; a resume tells as much. */
  pause(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.acked = this.count
  }

  private ack(): void {
    this.pause()
    this.sendAck(this.count)
  }
}
