import type { Message } from '@gen/stoa/chat/v1/chat_pb'

/** A message as moderators see it: one that was deleted while they watched is still readable to them. */
export interface Line {
  key: string
  message: Message
  deleted: boolean
}

export const keyOf = ({ epoch, seq }: Pick<Message, 'epoch' | 'seq'>): string => `${epoch}.${seq}`

/** The lines of the messages that are kept; those that are empty now keep the words that were shown before. */
export function keepDeleted(before: readonly Line[], messages: readonly Message[]): Line[] {
  const known = new Map(before.map((line) => [line.key, line]))
  return messages.map((message) => {
    const key = keyOf(message)
    const line = known.get(key)
    // The same line as before, so that a long list is not drawn anew.
    if (line?.deleted === message.deleted && (line.deleted || line.message.change === message.change)) return line
    return { key, message: message.deleted && line ? line.message : message, deleted: message.deleted }
  })
}
