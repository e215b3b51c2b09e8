import type { Event, Message } from '@gen/stoa/chat/v1/chat_pb'
import type { MessageWindow } from './window'

export interface ArrivalsDeps {
  window: MessageWindow
  /** Told of each message that came into the window. */
  onMessage: (message: Message) => void
  /** Told of each message that has changed, in the window or before it. */
  onChanged: (message: Message) => void
}

/** So much of what comes while history is read is kept; what is more is read as history. */
const mostHeld = 2_000

/**
 * Takes pushed messages and changes into the window, in their order and each once. While history is read they are held
 * back; what is missing between them is found by their numbers.
 */
export class Arrivals {
  private held: Event[] | undefined
  /** The event for which what is missing before it is being read. */
  private asked: Event | undefined

  constructor(private readonly deps: ArrivalsDeps) {}

  get isHolding(): boolean {
    return this.held !== undefined
  }

  /** Holds back what comes from now on, and forgets what was held. */
  hold(): void {
    this.held = []
  }

  /** Takes an event in. False when something before it is to be read: until then, everything is held. */
  push(event: Event): boolean {
    if (!this.held) {
      if (this.take(event)) return true
      this.held = [event]
      this.asked = event
      return false
    }
    this.held.push(event)
    if (this.held.length > mostHeld) this.held.splice(0, mostHeld / 2)
    return true
  }

  /** Takes what was held, once history was read. False when more of it is to be read. */
  release(): boolean {
    const held = this.held ?? []
    for (let event = held[0]; event; event = held[0]) {
      if (!this.take(event)) {
        this.asked = event
        return false
      }
      held.shift()
    }
    this.held = this.asked = undefined
    return true
  }

  /** False when something before the event is missing. */
  private take(event: Event): boolean {
    // What is still missing after it was asked for is not there for this reader.
    const acceptGap = event === this.asked
    const { kind } = event
    if (kind.case === 'message') return this.takeMessage(kind.value, acceptGap)
    if (kind.case === 'messageChanged') return this.takeChange(kind.value, acceptGap)
    // Of members and positions, which rooms have not, or something that a newer server tells.
    return true
  }

  private takeMessage(message: Message, acceptGap: boolean): boolean {
    const arrival = this.deps.window.add(message, acceptGap)
    if (arrival === 'added') this.deps.onMessage(message)
    return arrival !== 'gap'
  }

  private takeChange(message: Message, acceptGap: boolean): boolean {
    const { window, onChanged } = this.deps
    const known = window.change ?? message.change
    if (message.change > known + 1n && !acceptGap) return false
    window.change = message.change > known ? message.change : known
    window.replace(message)
    onChanged(message)
    return true
  }
}
