import { create } from '@bufbuild/protobuf'
import { MessageSchema, type Message } from '@gen/stoa/chat/v1/chat_pb'
import { expect, it } from 'vitest'
import { textOf } from '@stoa/shared/chat/content'
import { keepDeleted } from './lines'

const said = (seq: bigint, text: string, change = 0n): Message =>
  create(MessageSchema, { epoch: 1n, seq, change, content: { kind: { case: 'text', value: { text } } } })
const emptied = (seq: bigint): Message => create(MessageSchema, { epoch: 1n, seq, deleted: true })

it('keeps a line that has not changed', () => {
  const first = keepDeleted([], [said(1n, 'a')])
  const second = keepDeleted(first, [said(1n, 'a'), said(2n, 'b')])
  expect(second[0]).toBe(first[0])
  expect(second).toHaveLength(2)
})

it('keeps the words of what is deleted while it is watched', () => {
  const [line] = keepDeleted(keepDeleted([], [said(1n, 'rude')]), [emptied(1n)])
  expect(line?.deleted).toBe(true)
  expect(line && textOf(line.message)).toBe('rude')
})

it('has no words for what was deleted before', () => {
  const [line] = keepDeleted([], [emptied(1n)])
  expect(line?.deleted).toBe(true)
  expect(line?.message.content).toBeUndefined()
})

it('lets go of what the window has let go of', () => {
  expect(keepDeleted(keepDeleted([], [said(1n, 'a'), said(2n, 'b')]), [said(2n, 'b')]).map((line) => line.key)).toEqual(['1.2'])
})

it('shows a message that was edited as it is now', () => {
  const lines = keepDeleted(keepDeleted([], [said(1n, 'a')]), [said(1n, 'b', 4n)])
  expect(lines.map(({ message }) => textOf(message))).toEqual(['b'])
})
