import type { Message } from '@gen/stoa/chat/v1/chat_pb'
import type { TalkFeed } from '@app/danmaku/feed'

/** The side of the talk that others listen to, and the side that tells them. */
export interface Talk extends TalkFeed {
  tellMessage(message: Message, own: boolean): void
  tellDeleted(epoch: bigint, seq: bigint): void
  /** Likes as the server counted them, among them those that were shown already when this person tapped. */
  tellLikes(count: number): void
  /** One tap of this person's, shown at once. */
  tellTap(): void
  /** Taps that the server did not take: they will not be counted. */
  forgetTaps(count: number): void
}

export function createTalk(): Talk {
  const messageListeners = new Set<(message: Message, own: boolean) => void>()
  const deletionListeners = new Set<(epoch: bigint, seq: bigint) => void>()
  const likeListeners = new Set<(count: number) => void>()
  let tapsAhead = 0

  function tell(count: number): void {
    if (count > 0) for (const listener of likeListeners) listener(count)
  }

  return {
    onMessage(listener) {
      messageListeners.add(listener)
      return () => void messageListeners.delete(listener)
    },
    onDeleted(listener) {
      deletionListeners.add(listener)
      return () => void deletionListeners.delete(listener)
    },
    onLikes(listener) {
      likeListeners.add(listener)
      return () => void likeListeners.delete(listener)
    },
    tellMessage(message, own) {
      for (const listener of messageListeners) listener(message, own)
    },
    tellDeleted(epoch, seq) {
      for (const listener of deletionListeners) listener(epoch, seq)
    },
    tellLikes(count) {
      const known = Math.min(tapsAhead, count)
      tapsAhead -= known
      tell(count - known)
    },
    tellTap() {
      tapsAhead++
      tell(1)
    },
    forgetTaps(count) {
      tapsAhead = Math.max(0, tapsAhead - count)
    },
  }
}
