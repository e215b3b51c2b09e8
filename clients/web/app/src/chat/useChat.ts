import type { ConnectError } from '@connectrpc/connect'
import { computed, onScopeDispose, ref, shallowRef, watch } from 'vue'
import { session } from '@app/api'
import type { RoomHandle } from '@app/live/useRoom'
import { chat, edge } from '@app/talkApi'
import { followConversation, type FeedStatus } from '@stoa/shared/chat/feed'
import { MessageWindow } from '@stoa/shared/chat/window'
import { createLikeTaps } from './likes'
import { KnownNames } from './names'
import { createOutbox } from './outbox'
import { isRefusal } from './refusal'
import { createTalk } from './talk'
import { limits, useHistory } from './useHistory'
import { useMute } from './useMute'

/** Messages that come together are shown together, at most this late: calm to read, and cheap when they are many. */
const showEveryMs = 100
/** Viewers who were told of a change at once ask for its details over this time. */
const spreadMs = 1_000

/** The talk of one conversation: its messages, likes and the room's events, over the long connection of the tab. */
export function useChat(
  conversationId: string,
  room: Pick<RoomHandle, 'refresh' | 'apply' | 'viewerCount'>,
  /** The owner who tends the room is not one of its viewers. */
  unseen = false,
) {
  const tail = new MessageWindow(limits.following)
  const history = useHistory(conversationId, tail)
  const talk = createTalk()
  const names = new KnownNames()
  const { mute, learn, clear: clearMute } = useMute()
  const status = ref<FeedStatus>('connecting')
  /** Why the server does not let this person in for now; undefined where the connection is to blame. */
  const refusal = shallowRef<ConnectError>()
  const likeCount = ref(0)
  /** The number of the newest message, whether it is shown or not. */
  const lastSeq = ref(0n)
  const outbox = createOutbox(store)
  const likes = createLikeTaps(
    (count) => chat.like({ conversationId, count }),
    (count) => {
      likeCount.value -= count
      talk.forgetTaps(count)
    },
  )
  let abort = new AbortController()
  let showTimer: ReturnType<typeof setTimeout> | undefined
  let refreshTimer: ReturnType<typeof setTimeout> | undefined

  async function store(clientMsgId: string, text: string): Promise<void> {
    try {
      await chat.sendMessage({ conversationId, clientMsgId, content: { kind: { case: 'text', value: { text } } } })
      clearMute()
    } catch (error) {
      learn(error)
      throw error
    }
  }
  function show(): void {
    showTimer = undefined
    history.update()
    lastSeq.value = tail.position?.seq ?? 0n
    outbox.confirm(tail.messages)
  }
  function refreshRoom(afterMs: number): void {
    clearTimeout(refreshTimer)
    // A failed refresh is made up for by the next event, or by the next greeting.
    refreshTimer = setTimeout(() => void room.refresh().catch(() => undefined), afterMs)
  }

  function follow(): void {
    abort.abort()
    abort = new AbortController()
    followConversation(
      {
        edge,
        chat,
        conversationId,
        unseen,
        window: tail,
        onStatus(next, failure) {
          status.value = next
          refusal.value = isRefusal(failure) ? failure : undefined
        },
        onMessage(message, live) {
          names.add(message.sender?.nickname)
          if (live) talk.tellMessage(message, message.sender?.id === session.user.value?.id)
          showTimer ??= setTimeout(show, showEveryMs)
        },
        onChanged(message) {
          history.replace(message)
          if (message.deleted) talk.tellDeleted(message.epoch, message.seq)
        },
        onEntered: () => refreshRoom(0),
        onLikes(total, count) {
          // Own taps that are not counted yet stay on top of what the server knows.
          likeCount.value = Math.max(likeCount.value, Number(total) + likes.open)
          talk.tellLikes(count)
        },
        onViewerCount: (count) => (room.viewerCount.value = count),
        onBroadcast(broadcast) {
          room.apply(broadcast)
          refreshRoom(Math.random() * spreadMs)
        },
      },
      abort.signal,
    )
  }

  // Another person in this browser is somebody else in the room.
  watch(() => session.user.value?.id, (now, before) => {
    if (before === undefined || now === before) return
    outbox.clear()
    clearMute()
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
    history,
    messages: history.messages,
    outgoing: outbox.items,
    status: computed(() => status.value),
    refusal: computed(() => refusal.value),
    likeCount: computed(() => likeCount.value),
    lastSeq: computed(() => lastSeq.value),
    mute,
    names,
    talk,
    send: outbox.send,
    resend: outbox.resend,
    discard: outbox.discard,
    /** Comes back where the server has ended the connection for good. */
    comeBack: () => edge.restart(),
    like() {
      likeCount.value++
      talk.tellTap()
      likes.tap()
    },
  }
}

export type ChatHandle = ReturnType<typeof useChat>
