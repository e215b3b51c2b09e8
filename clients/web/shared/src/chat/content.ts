import type { Message } from '@gen/stoa/chat/v1/chat_pb'

/** A message in words, for places that show words only: its text, or what its sender gave to stand for it. */
export function textOf({ content }: Pick<Message, 'content'>): string {
  const kind = content?.kind
  switch (kind?.case) {
    case 'text':
    case 'system':
      return kind.value.text
    case 'image':
    case 'video':
      return kind.value.caption
    case 'file':
      return kind.value.name
    case 'location':
      return kind.value.name || kind.value.address
    case 'card':
      return kind.value.title
    case 'custom':
      return kind.value.fallback
    default:
      return ''
  }
}
