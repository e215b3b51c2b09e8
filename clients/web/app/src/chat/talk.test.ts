import { create } from '@bufbuild/protobuf'
import { MessageSchema } from '@gen/stoa/chat/v1/chat_pb'
import { expect, it, vi } from 'vitest'
import { createTalk } from './talk'

it('tells messages until the listener has enough', () => {
  const talk = createTalk()
  const listener = vi.fn()
  const stop = talk.onMessage(listener)
  const message = create(MessageSchema)
  talk.tellMessage(message, true)
  stop()
  talk.tellMessage(message, false)
  expect(listener.mock.calls).toEqual([[message, true]])
})

it('tells what was taken away until the listener has enough', () => {
  const talk = createTalk()
  const listener = vi.fn()
  const stop = talk.onDeleted(listener)
  talk.tellDeleted(1n, 7n)
  stop()
  talk.tellDeleted(1n, 8n)
  expect(listener.mock.calls).toEqual([[1n, 7n]])
})

it('shows own likes at once, and not again when the server tells of them', () => {
  const talk = createTalk()
  const listener = vi.fn<(count: number) => void>()
  talk.onLikes(listener)
  for (let i = 0; i < 3; i++) talk.tellTap()
  talk.tellLikes(5)
  talk.tellLikes(1)
  expect(listener.mock.calls.map(([count]) => count)).toEqual([1, 1, 1, 2, 1])
})

it('does not wait for likes that were refused', () => {
  const talk = createTalk()
  const listener = vi.fn<(count: number) => void>()
  talk.tellTap()
  talk.forgetTaps(1)
  talk.onLikes(listener)
  talk.tellLikes(2)
  expect(listener.mock.calls).toEqual([[2]])
})
