import type { Message } from '@gen/stoa/chat/v1/chat_pb'
import { onScopeDispose, ref, shallowRef } from 'vue'
import { chat } from '@app/talkApi'
import { Scrollback } from '@stoa/shared/chat/scrollback'
import type { MessageWindow } from '@stoa/shared/chat/window'

/** Who is at the end needs a few screens; who reads back may have up to two thousand messages in memory. */
export const limits = { following: 300, reading: 2_000 }
const pageSize = 100

export type Direction = 'older' | 'newer'

/** The messages that one reader sees: the newest of `tail`, and older ones as they are asked for. */
export function useHistory(conversationId: string, tail: MessageWindow) {
  const view = new Scrollback(tail, limits)
  const abort = new AbortController()
  const messages = shallowRef(view.messages)
  const hasOlder = ref(false)
  const atEnd = ref(true)
  const loading = ref<Direction>()
  const failed = ref<Direction>()
  let reading = false
  /** The first message, where the server has shown that it has none before it. */
  let firstOfAll: bigint | undefined

  function show(): void {
    messages.value = view.messages
    hasOlder.value = view.hasOlder && view.messages[0]?.seq !== firstOfAll
    atEnd.value = view.atEnd
  }

  async function load(direction: Direction): Promise<void> {
    const edge = direction === 'older' ? view.messages[0] : view.messages.at(-1)
    if (loading.value || !edge) return
    loading.value = direction
    const value = { epoch: edge.epoch, seq: edge.seq }
    const from = direction === 'older' ? { case: 'before' as const, value } : { case: 'after' as const, value }
    try {
      const { messages: page } = await chat.listMessages({ conversationId, pageSize, from }, { signal: abort.signal })
      if (direction === 'newer') view.addNewer(page)
      else if (page.length > 0) view.addOlder(page)
      else firstOfAll = edge.seq
      failed.value = undefined
    } catch {
      failed.value = direction
    } finally {
      loading.value = undefined
      show()
    }
  }

  onScopeDispose(() => abort.abort())

  return {
    messages,
    hasOlder,
    atEnd,
    loading,
    failed,
    load,
    /** Takes over what the tail has got. */
    update: () => {
      view.update(reading)
      show()
    },
    /** Takes a message over as it is now, wherever it is shown. */
    replace: (message: Message) => {
      view.replace(message)
      show()
    },
    /** A reader who reads back keeps what they have; one who follows does not need it. */
    setReading: (next: boolean) => {
      reading = next
    },
    toEnd: () => {
      reading = false
      view.toEnd()
      show()
    },
  }
}

export type History = ReturnType<typeof useHistory>
