import type { Message } from '@gen/stoa/chat/v1/chat_pb'

/** Stops what was listening. */
export type StopListening = () => void

/** What a room's talk tells the picture: what happens now, without the history that a newcomer is greeted with. */
export interface TalkFeed {
  /** Told of each new message once; `own` when the person in this tab wrote it. */
  onMessage(listener: (message: Message, own: boolean) => void): StopListening
  /** Told of each message that is taken away. */
  onDeleted(listener: (epoch: bigint, seq: bigint) => void): StopListening
  /** Told how many likes came since the time before. */
  onLikes(listener: (count: number) => void): StopListening
}
