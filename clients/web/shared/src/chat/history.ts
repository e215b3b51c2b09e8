import { Code, ConnectError, type Client } from '@connectrpc/connect'
import type { Message, Position } from '@gen/stoa/chat/v1/chat_pb'
import type { ChatService } from '@gen/stoa/chat/v1/chat_service_pb'
import type { ArrivalsDeps } from './arrivals'

/** Where a conversation stood: its last message, and the number of the last change. */
export type End = Pick<Position, 'epoch' | 'seq'> & { change: bigint }

export interface HistoryDeps extends ArrivalsDeps {
  chat: Pick<Client<typeof ChatService>, 'listMessages' | 'pullMessages'>
  conversationId: string
}

/** As many as the server gives in one page. */
const pageSize = 200

/** Reads what the window lacks of its conversation. */
export class HistoryReader {
  constructor(private readonly deps: HistoryDeps) {}

  /**
   * Brings the window up to date, or further where more has come meanwhile.
   * @param end the end when the room was entered: what comes after that is told. Undefined where the window has only a gap.
   */
  async read(end: End | undefined, signal: AbortSignal): Promise<void> {
    const { window } = this.deps
    const last = window.position
    const anew = !last || (end !== undefined && end.epoch !== last.epoch)
    // What was changed before the room was entered is read, and so in what is read anew already.
    const change = (anew ? end?.change : window.change) ?? 0n
    // One that would keep nothing of what it has begins with the latest: what lies between would only pass through.
    const isFar = !anew && end !== undefined && end.seq - last.seq > BigInt(window.capacity)
    if (anew || isFar) await this.readLatest(end, signal)
    if (anew) window.change = change
    else await this.pull(change, signal)
  }

  private async readLatest(end: End | undefined, signal: AbortSignal): Promise<void> {
    const { chat, conversationId, window } = this.deps
    const { messages } = await chat.listMessages({ conversationId, pageSize }, { signal })
    window.restart()
    this.add(messages)
    // Where there is nothing to see, what comes is still counted on.
    if (messages.length === 0) window.restart(end)
  }

  /** Reads new and changed messages, page after page, from what the window has. */
  private async pull(change: bigint, signal: AbortSignal): Promise<void> {
    const { chat, conversationId, window, onChanged } = this.deps
    window.change = change
    for (;;) {
      const { conversations, hasMore } = await chat.pullMessages({ have: [{ conversationId, position: window.position, change: window.change }] }, { signal })
      const pulled = conversations.find((one) => one.conversationId === conversationId)
      if (!pulled) return
      if (pulled.gone) throw new ConnectError('the conversation is gone', Code.NotFound)
      if (window.position && pulled.epoch !== window.position.epoch) {
        // Its history was lost, and with it everything that the window has.
        window.change = pulled.change
        await this.readLatest(undefined, signal)
        return
      }
      const before = { ...window.position, change: window.change }
      this.add(pulled.messages)
      for (const message of pulled.changed) {
        window.replace(message)
        onChanged(message)
      }
      window.change = pulled.change
      const moved = before.seq !== window.position?.seq || before.epoch !== window.position?.epoch || before.change !== pulled.change
      if (!hasMore || !moved) return
    }
  }

  /** The server leaves out what it does not show. */
  private add(messages: readonly Message[]): void {
    for (const message of messages) if (this.deps.window.add(message, true) === 'added') this.deps.onMessage(message)
  }
}
