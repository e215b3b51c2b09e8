import type { Message } from '@gen/stoa/chat/v1/chat_pb'
import { withMessage, type MessageWindow } from './window'

export interface ScrollbackLimits {
  /** How many messages are shown to who is at the end. */
  following: number
  /** How many are kept for who reads back, older and newer ones together. */
  reading: number
}

/** A page comes within moments; so many changes at the most are kept for those that are on their way. */
const keptChanges = 200

/**
 * The messages that a reader sees: one unbroken stretch of the conversation. At its end it moves with the newest ones.
 * Who reads back has older ones put before them, and keeps what is there while new ones come; when that is too much, the
 * stretch lets go of the newest and is loaded again on the way down. Never holds more than its limits say.
 */
export class Scrollback {
  private shown: readonly Message[] = []
  private reachesEnd = true
  private readonly changed: Message[] = []

  /** @param tail the newest messages, kept by whoever follows the conversation. */
  constructor(
    private readonly tail: MessageWindow,
    private readonly limits: ScrollbackLimits,
  ) {}

  get messages(): readonly Message[] {
    return this.shown
  }

  /** False while newer messages are left out. */
  get atEnd(): boolean {
    return this.reachesEnd
  }

  /** True while the conversation has messages before the first one here: they count from 1. */
  get hasOlder(): boolean {
    return (this.shown[0]?.seq ?? 0n) > 1n
  }

  /** Takes over what the tail has got since the last call. */
  update(reading: boolean): void {
    const newest = this.tail.messages
    const last = this.shown.at(-1)
    const first = newest[0]
    if (!last || last.epoch !== first?.epoch) {
      this.toEnd()
      return
    }
    if (!this.reachesEnd) return
    // A tail that has moved on by more than it keeps has left a hole, which is loaded when it is reached.
    if (first.seq > last.seq + 1n) {
      if (reading) this.reachesEnd = false
      else this.toEnd()
      return
    }
    const more = newest.filter(({ seq }) => seq > last.seq)
    if (reading) {
      const room = this.limits.reading - this.shown.length
      if (more.length > room) this.reachesEnd = false
      if (more.length > 0 && room > 0) this.shown = [...this.shown, ...more.slice(0, room)]
      return
    }
    const all = more.length > 0 ? [...this.shown, ...more] : this.shown
    this.shown = all.length > this.limits.following ? all.slice(-this.limits.following) : all
  }

  /** Puts a page of older messages before the first; lets go of the newest where there are too many. */
  addOlder(page: readonly Message[]): void {
    const first = this.shown[0]
    const fitting = this.upToDate(page).filter(({ epoch, seq }) => epoch === first?.epoch && seq < first.seq)
    if (fitting.length === 0) return
    const all = [...fitting, ...this.shown]
    if (all.length > this.limits.reading) this.reachesEnd = false
    this.shown = all.slice(0, this.limits.reading)
  }

  /** Puts a page of newer messages behind the last; lets go of the oldest where there are too many. */
  addNewer(page: readonly Message[]): void {
    const last = this.shown.at(-1)
    const fitting = this.upToDate(page).filter(({ epoch, seq }) => epoch === last?.epoch && seq > last.seq)
    this.shown = [...this.shown, ...fitting].slice(-this.limits.reading)
    const [first, end] = [this.tail.messages[0], this.shown.at(-1)]
    if (!first || !end || first.seq > end.seq + 1n) return
    // The two stretches meet.
    const rest = this.tail.messages.filter(({ seq }) => seq > end.seq)
    this.shown = [...this.shown, ...rest].slice(-this.limits.reading)
    this.reachesEnd = true
  }

  /** Leaves what was read behind, and shows the newest messages. */
  toEnd(): void {
    this.shown = this.tail.messages.slice(-this.limits.following)
    this.reachesEnd = true
  }

  /** Takes a message over as it is now, if it is here. */
  replace(message: Message): void {
    this.shown = withMessage(this.shown, message)
    this.changed.push(message)
    if (this.changed.length > keptChanges) this.changed.shift()
  }

  /** A page may have been read before a message in it changed. */
  private upToDate(page: readonly Message[]): readonly Message[] {
    return this.changed.reduce(withMessage, page)
  }
}
