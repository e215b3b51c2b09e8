import type { Message } from '@gen/stoa/chat/v1/chat_pb'
import { computed, onScopeDispose, ref, shallowRef, watch } from 'vue'
import { chat, session } from '@app/api'
import type { RoomHandle } from '@app/live/useRoom'
import { followConversation, type FeedStatus } from '@stoa/shared/chat/feed'
import { createLikeTaps } from './likes'
import { createOutbox } from './outbox'
import { MessageWindow } from '@stoa/shared/chat/window'

const keptMessages = 500
/** Messages that come together are shown together, at most this late. */
const showEveryMs = 40
/** Viewers who were told of a change at once ask for its details over this time. */
const spreadMs = 1_000

/** The talk of one conversation: its messages, likes and the room's events, over one stream a tab. */
export function useChat(conversationId: string, room: Pick<RoomHandle, 'refresh' | 'apply' | 'viewerCount'>) {
  const messages = shallowRef<readonly Message[]>([])
  const status = ref<FeedStatus>('connecting')
  const likeCount = ref(0)
  const kept = new MessageWindow(keptMessages)
  const outbox = createOutbox((clientMsgId, text) =>
    chat.sendMessage({ conversationId, clientMsgId, content: { kind: { case: 'text', value: { text } } } }),
  )
  const likes = createLikeTaps(
    (count) => chat.like({ conversationId, count }),
    (count) => (likeCount.value -= count),
  )
  let abort = new AbortController()
  let showTimer: ReturnType<typeof setTimeout> | undefined
  let refreshTimer: ReturnType<typeof setTimeout> | undefined
  let sentToken: string | undefined

  function show(): void {
    showTimer = undefined
    messages.value = [...kept.messages]
    outbox.confirm(kept.messages)
  }
  function refreshRoom(afterMs: number): void {
    clearTimeout(refreshTimer)
    // A failed refresh is made up for by the next event, or by the next greeting.
    refreshTimer = setTimeout(() => void room.refresh().catch(() => undefined), afterMs)
  }

  async function* subscribe(after: MessageWindow['position'], signal: AbortSignal) {
    sentToken = await session.accessToken()
    // Without a time limit: the stream's own heartbeat tells when it is dead.
    yield* chat.subscribe({ conversationId, after }, { signal, timeoutMs: 0 })
  }

  function follow(): void {
    abort.abort()
    abort = new AbortController()
    void followConversation(
      {
        subscribe,
        renewToken: () => session.accessToken(sentToken),
        window: kept,
        onStatus: (next) => (status.value = next),
        onMessage: () => (showTimer ??= setTimeout(show, showEveryMs)),
        onSubscribed: () => refreshRoom(0),
        // Own taps that are not counted yet stay on top of what the server knows.
        onLikes: (total) => (likeCount.value = Math.max(likeCount.value, Number(total) + likes.open)),
        onViewerCount: (count) => (room.viewerCount.value = count),
        onBroadcast(broadcast) {
          room.apply(broadcast)
          refreshRoom(Math.random() * spreadMs)
        },
      },
      abort.signal,
    )
  }

  // Another person in this browser needs a stream of their own: presence and rights go with it.
  watch(() => session.user.value?.id, (now, before) => {
    if (before === undefined || now === before) return
    outbox.clear()
    follow()
  })
  follow()

  onScopeDispose(() => {
    abort.abort()
    clearTimeout(showTimer)
    clearTimeout(refreshTimer)
    likes.stop()
  })

  return {
    messages,
    outgoing: outbox.items,
    status: computed(() => status.value),
    likeCount: computed(() => likeCount.value),
    send: outbox.send,
    resend: outbox.resend,
    discard: outbox.discard,
    like() {
      likeCount.value++
      likes.tap()
    },
  }
}

export type ChatHandle = ReturnType<typeof useChat>
