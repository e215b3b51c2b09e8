import type { Message, Position } from '@gen/stoa/chat/v1/chat_pb'
import type { Broadcast } from '@gen/stoa/live/v1/live_pb'
import { onScopeDispose, readonly, ref, shallowReadonly, shallowRef } from 'vue'
import { REREAD_PAGE } from '@stoa/shared/chat/deletions'
import { followConversation, type FeedStatus } from '@stoa/shared/chat/feed'
import { MessageWindow } from '@stoa/shared/chat/window'
import { chat, session } from '@console/api'
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
  let sentToken: string | undefined

  function show(): void {
    timer = undefined
    lines.value = keepDeleted(lines.value, kept.messages)
  }
  const showSoon = (): void => void (timer ??= setTimeout(show, showEveryMs))

  async function* subscribe(after: MessageWindow['position'], signal: AbortSignal) {
    sentToken = await session.accessToken()
    // Without a time limit: the stream's own heartbeat tells when it is dead.
    yield* chat.subscribe({ conversationId, after, unseen: true }, { signal, timeoutMs: 0 })
  }

  async function readPage(after: Pick<Position, 'epoch' | 'seq'>, signal: AbortSignal) {
    const answer = await chat.listMessages({ conversationId, pageSize: REREAD_PAGE, from: { case: 'after', value: after } }, { signal })
    return answer.messages
  }

  void followConversation(
    {
      subscribe,
      renewToken: () => session.accessToken(sentToken),
      window: kept,
      readPage,
      onStatus: (next) => (status.value = next),
      onMessage: showSoon,
      onDeleted: showSoon,
      onSubscribed: () => undefined,
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
    /** Takes a message away that was just deleted from here, ahead of the stream. */
    remove(at: Pick<Position, 'epoch' | 'seq'>): void {
      kept.remove(at)
      show()
    },
  }
}

export type { Message }
