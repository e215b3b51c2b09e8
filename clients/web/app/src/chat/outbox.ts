import type { Message } from '@gen/stoa/chat/v1/chat_pb'
import { shallowRef, type ShallowRef } from 'vue'
import { newId } from '@stoa/shared/lib/ids'

/** A message of ours that the feed has not shown yet. */
export interface Outgoing {
  clientMsgId: string
  text: string
  state: 'sending' | 'sent' | 'failed'
  /** Why it failed. */
  error?: unknown
}

/** Stores a message on the server; the same id again is harmless. */
export type Send = (clientMsgId: string, text: string) => Promise<unknown>

export interface Outbox {
  items: Readonly<ShallowRef<readonly Outgoing[]>>
  send: (text: string) => Promise<void>
  resend: (clientMsgId: string) => Promise<void>
  discard: (clientMsgId: string) => void
  /** Drops what the feed has now shown in its final place. */
  confirm: (messages: readonly Message[]) => void
  clear: () => void
}

/** Shows own messages at once, and keeps those that failed until they are sent again or discarded. */
export function createOutbox(store: Send): Outbox {
  const items = shallowRef<readonly Outgoing[]>([])
  function update(clientMsgId: string, change: Partial<Outgoing>): void {
    items.value = items.value.map((item) => (item.clientMsgId === clientMsgId ? { ...item, ...change } : item))
  }
  function remove(clientMsgId: string): void {
    items.value = items.value.filter((item) => item.clientMsgId !== clientMsgId)
  }
  async function attempt(clientMsgId: string, text: string): Promise<void> {
    try {
      await store(clientMsgId, text)
      update(clientMsgId, { state: 'sent' })
    } catch (error) {
      update(clientMsgId, { state: 'failed', error })
    }
  }

  return {
    items,
    async send(text) {
      const clientMsgId = newId()
      items.value = [...items.value, { clientMsgId, text, state: 'sending' }]
      await attempt(clientMsgId, text)
    },
    async resend(clientMsgId) {
      const item = items.value.find((candidate) => candidate.clientMsgId === clientMsgId)
      if (item?.state !== 'failed') return
      update(clientMsgId, { state: 'sending', error: undefined })
      await attempt(clientMsgId, item.text)
    },
    discard: remove,
    confirm(messages) {
      if (items.value.length === 0) return
      const shown = new Set(messages.map((message) => message.clientMsgId))
      items.value = items.value.filter((item) => !shown.has(item.clientMsgId))
    },
    clear() {
      items.value = []
    },
  }
}
