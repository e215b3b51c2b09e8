import { timestampMs } from '@bufbuild/protobuf/wkt'
import type { Message } from '@gen/stoa/chat/v1/chat_pb'
import type { Outgoing } from './outbox'

/** One line of the list. */
export type Entry =
  | { kind: 'begin'; key: string }
  | { kind: 'day'; key: string; atMs: number }
  | { kind: 'message'; key: string; message: Message; continued: boolean }
  | { kind: 'outgoing'; key: string; item: Outgoing; continued: boolean }

/** Later words of the same person begin a new group. */
const groupMs = 3 * 60_000

export const sentAtMs = (message: Message): number => (message.sentAt ? timestampMs(message.sentAt) : 0)

export const keyOf = ({ epoch, seq }: Pick<Message, 'epoch' | 'seq'>): string => `${epoch}-${seq}`

/** Days of the reader's clock, found once for each quarter of an hour: no zone is set off by less. */
const days = new Map<number, number>()
const quarterMs = 15 * 60_000

function dayOf(atMs: number): number {
  const quarter = Math.floor(atMs / quarterMs)
  let day = days.get(quarter)
  if (day === undefined) {
    const date = new Date(atMs)
    day = date.getFullYear() * 10_000 + date.getMonth() * 100 + date.getDate()
    if (days.size > 5_000) days.clear()
    days.set(quarter, day)
  }
  return day
}

/**
 * The lines of a list: its messages, a line where a new day begins, and what is on its way. A message is continued when
 * the one above is of the same person and of about the same time: their name is not said again. `begins` says that the
 * conversation has nothing before the first one.
 */
export function entriesOf(messages: readonly Message[], outgoing: readonly Outgoing[], userId?: string, begins = false): Entry[] {
  const entries: Entry[] = begins && messages.length > 0 ? [{ kind: 'begin', key: 'begin' }] : []
  let before: Message | undefined
  let day = 0
  for (const message of messages) {
    const atMs = sentAtMs(message)
    const today = dayOf(atMs)
    const newDay = today !== day
    // Not above the first while there are older ones: what stands at the top must stay when they come before it.
    if (newDay && (before || begins)) entries.push({ kind: 'day', key: `day-${today}-${message.epoch}-${message.seq}`, atMs })
    day = today
    const continued = !newDay && !message.deleted && continues(before, message.sender?.id, atMs)
    entries.push({ kind: 'message', key: keyOf(message), message, continued })
    before = message
  }
  const now = Date.now()
  for (const [index, item] of outgoing.entries()) {
    const continued = index > 0 || continues(before, userId, now)
    entries.push({ kind: 'outgoing', key: item.clientMsgId, item, continued })
  }
  return entries
}

function continues(before: Message | undefined, senderId: string | undefined, atMs: number): boolean {
  if (!before || before.deleted || senderId === undefined) return false
  return before.sender?.id === senderId && atMs - sentAtMs(before) < groupMs
}
