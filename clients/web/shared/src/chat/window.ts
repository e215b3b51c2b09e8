import { create } from '@bufbuild/protobuf'
import { MessageSchema, type Message, type Position } from '@gen/stoa/chat/v1/chat_pb'

/** What a received message means for the window. */
export type Arrival = 'added' | 'duplicate' | 'gap'

/**
 * The last messages of a conversation, in order, each once. Knows the position to come back with after a cut.
 */
export class MessageWindow {
  private kept: Message[] = []
  private last: { epoch: bigint; seq: bigint } | undefined
  /** Number of the last change of the conversation's messages that is known here; undefined for a newcomer. */
  change: bigint | undefined

  /** @param capacity how many messages to keep; older ones go. */
  constructor(readonly capacity: number) {}

  get messages(): readonly Message[] {
    return this.kept
  }

  /** The place of the last message seen; undefined for a newcomer. */
  get position(): Pick<Position, 'epoch' | 'seq'> | undefined {
    return this.last
  }

  /**
   * Takes a message in. One that was seen is a duplicate; one that leaves out its predecessor is a gap and is not taken
   * unless `acceptGap` is set: what lies between is to be read first. A new epoch starts over.
   */
  add(message: Message, acceptGap = false): Arrival {
    const { epoch, seq } = message
    if (this.last?.epoch === epoch) {
      if (seq <= this.last.seq) return 'duplicate'
      if (seq > this.last.seq + 1n && !acceptGap) return 'gap'
    } else if (this.last) {
      if (epoch < this.last.epoch) return 'duplicate'
      this.kept = []
    }
    this.last = { epoch, seq }
    this.kept.push(message)
    if (this.kept.length > this.capacity) this.kept.splice(0, this.kept.length - this.capacity)
    return 'added'
  }

  /** Lets go of everything, and goes on after a place. */
  restart(last?: Pick<Position, 'epoch' | 'seq'>): void {
    this.kept = []
    this.last = last && { epoch: last.epoch, seq: last.seq }
  }

  /** Takes a message over as it is now, if it is kept. */
  replace(message: Message): void {
    this.kept = withMessage(this.kept, message) as Message[]
  }

  /** Empties the message at a place, if it is kept. */
  remove(at: Pick<Position, 'epoch' | 'seq'>): void {
    this.kept = withoutMessage(this.kept, at) as Message[]
  }
}

/** The messages with one of them as it is now; the same list where it is not there, or is there as new. */
export function withMessage(messages: readonly Message[], now: Message): readonly Message[] {
  const index = messages.findIndex(({ epoch, seq }) => seq === now.seq && epoch === now.epoch)
  const before = messages[index]
  return before && before.change < now.change ? messages.with(index, now) : messages
}

/** The messages with the one at a place emptied; the same list where it has none there. */
export function withoutMessage(
  messages: readonly Message[],
  { epoch, seq }: Pick<Position, 'epoch' | 'seq'>,
): readonly Message[] {
  const index = messages.findIndex((message) => message.seq === seq && message.epoch === epoch)
  const message = messages[index]
  if (!message || message.deleted) return messages
  // A message of its own: whoever keeps something by the message must not find the old one.
  const emptied = create(MessageSchema, { ...message, sender: undefined, content: undefined, deleted: true })
  return messages.with(index, emptied)
}
