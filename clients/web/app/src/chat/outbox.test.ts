import { create } from '@bufbuild/protobuf'
import { MessageSchema, type Message } from '@gen/stoa/chat/v1/chat_pb'
import { describe, expect, it, vi } from 'vitest'
import { createOutbox } from './outbox'

const shown = (clientMsgId: string): Message => create(MessageSchema, { clientMsgId })

describe('createOutbox', () => {
  it('shows a message until the feed does', async () => {
    const outbox = createOutbox(() => Promise.resolve())
    const sending = outbox.send('hello')
    expect(outbox.items.value).toMatchObject([{ text: 'hello', state: 'sending' }])
    await sending
    expect(outbox.items.value).toMatchObject([{ state: 'sent' }])
    outbox.confirm([shown('other'), shown(outbox.items.value[0]?.clientMsgId ?? '')])
    expect(outbox.items.value).toEqual([])
  })

  it('does not bring back what the feed showed before the answer came', async () => {
    let answer = (): void => undefined
    const outbox = createOutbox(() => new Promise<void>((resolve) => (answer = resolve)))
    const sending = outbox.send('hello')
    outbox.confirm([shown(outbox.items.value[0]?.clientMsgId ?? '')])
    answer()
    await sending
    expect(outbox.items.value).toEqual([])
  })

  it('sends a failed message again under the same id', async () => {
    const store = vi.fn<(id: string, text: string) => Promise<void>>()
    store.mockRejectedValueOnce(new Error('lost')).mockResolvedValueOnce()
    const outbox = createOutbox(store)
    await outbox.send('hello')
    const [item] = outbox.items.value
    expect(item).toMatchObject({ state: 'failed', error: new Error('lost') })
    await outbox.resend(item?.clientMsgId ?? '')
    expect(outbox.items.value).toMatchObject([{ state: 'sent' }])
    expect(store.mock.calls[0]).toEqual(store.mock.calls[1])
  })

  it('forgets a failed message that is discarded', async () => {
    const outbox = createOutbox(() => Promise.reject(new Error('lost')))
    await outbox.send('hello')
    outbox.discard(outbox.items.value[0]?.clientMsgId ?? '')
    expect(outbox.items.value).toEqual([])
  })
})
