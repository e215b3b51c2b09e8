import type { Message, Position } from '@gen/stoa/chat/v1/chat_pb'
import type { Broadcast } from '@gen/stoa/live/v1/live_pb'
import { onScopeDispose, readonly, ref, shallowReadonly, shallowRef } from 'vue'
import { followConversation, type FeedStatus } from '@stoa/shared/chat/feed'
import { MessageWindow } from '@stoa/shared/chat/window'
import { chat, edge } from '@console/talkApi'
import { keepDeleted, type Line } from './lines'

const keptMessages = 200
/** Messages that come together are shown together, at most this late. */
const showEveryMs = 120

/** The talk of one conversation as moderators see it: they are not counted in it, and see what was deleted before them. */
export function useTalk(conversationId: string, onBroadcast: (broadcast: Broadcast) => void) {
  const lines = shallowRef<readonly Line[]>([])
  const status = ref<FeedStatus>('connecting')
  const kept = new MessageWindow(keptMessages)
  const abort = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined

  function show(): void {
    timer = undefined
    lines.value = keepDeleted(lines.value, kept.messages)
  }
  const showSoon = (): void => void (timer ??= setTimeout(show, showEveryMs))

  followConversation(
    {
      edge,
      chat,
      conversationId,
      unseen: true,
      window: kept,
      onStatus: (next) => (status.value = next),
      onMessage: showSoon,
      onChanged: showSoon,
      onEntered: () => undefined,
      onLikes: () => undefined,
      onViewerCount: () => undefined,
      onBroadcast,
    },
    abort.signal,
  )
  onScopeDispose(() => {
    abort.abort()
    clearTimeout(timer)
  })

  return {
    lines: shallowReadonly(lines),
    status: readonly(status),
    /** Takes a message away that was just deleted from here, ahead of the push that tells of it. */
    remove(at: Pick<Position, 'epoch' | 'seq'>): void {
      kept.remove(at)
      show()
    },
    /** Comes back where the server has ended the connection for good. */
    comeBack: () => edge.restart(),
  }
}

export type { Message }
