import { create } from '@bufbuild/protobuf'
import { MessageSchema, type Message } from '@gen/stoa/chat/v1/chat_pb'
import { describe, expect, it } from 'vitest'
import { MessageWindow } from './window'

const message = (seq: number, epoch = 1): Message => create(MessageSchema, { epoch: BigInt(epoch), seq: BigInt(seq) })
const seqs = (window: MessageWindow): number[] => window.messages.map(({ seq }) => Number(seq))

describe('MessageWindow', () => {
  it('has no position before the first message', () => {
    expect(new MessageWindow(10).position).toBeUndefined()
  })

  it('starts anywhere, since a newcomer gets the last messages only', () => {
    const window = new MessageWindow(10)
    expect(window.add(message(801))).toBe('added')
    expect(window.position).toEqual({ epoch: 1n, seq: 801n })
  })

  it('shows each message once', () => {
    const window = new MessageWindow(10)
    for (const seq of [1, 2, 3]) window.add(message(seq))
    expect([window.add(message(2)), window.add(message(3))]).toEqual(['duplicate', 'duplicate'])
    expect(seqs(window)).toEqual([1, 2, 3])
  })

  it('keeps the newest ones only', () => {
    const window = new MessageWindow(500)
    for (let seq = 1; seq <= 1_234; seq++) window.add(message(seq))
    expect(window.messages).toHaveLength(500)
    expect(seqs(window).at(0)).toBe(735)
    expect(window.position?.seq).toBe(1_234n)
  })

  it('does not take a message that leaves one out, unless told to', () => {
    const window = new MessageWindow(10)
    window.add(message(1))
    expect(window.add(message(3))).toBe('gap')
    expect(window.position?.seq).toBe(1n)
    expect(window.add(message(3), true)).toBe('added')
    expect(seqs(window)).toEqual([1, 3])
  })

  it('starts over in a new epoch and ignores the old one from then on', () => {
    const window = new MessageWindow(10)
    window.add(message(7))
    expect(window.add(message(1, 2))).toBe('added')
    expect(window.add(message(8, 1))).toBe('duplicate')
    expect(seqs(window)).toEqual([1])
    expect(window.position).toEqual({ epoch: 2n, seq: 1n })
  })

  it('takes a changed message over, and no older state of it', () => {
    const window = new MessageWindow(10)
    for (const seq of [1, 2]) window.add(message(seq))
    const now = (seq: number, change: number, pinned: boolean): Message =>
      create(MessageSchema, { epoch: 1n, seq: BigInt(seq), change: BigInt(change), pinned })
    window.replace(now(1, 5, true))
    window.replace(now(1, 4, false))
    window.replace(now(9, 6, true))
    expect(window.messages.map(({ pinned }) => pinned)).toEqual([true, false])
  })

  it('goes on after a place when it is started anew', () => {
    const window = new MessageWindow(10)
    for (const seq of [1, 2]) window.add(message(seq))
    window.restart({ epoch: 1n, seq: 6n })
    expect(seqs(window)).toEqual([])
    expect([window.add(message(6)), window.add(message(8)), window.add(message(7))]).toEqual(['duplicate', 'gap', 'added'])
  })

  it('keeps the place of a message that is taken away, and nothing else of it', () => {
    const window = new MessageWindow(10)
    window.add(create(MessageSchema, { epoch: 1n, seq: 1n, sender: { id: 'ada' }, content: { kind: { case: 'text', value: { text: 'x' } } } }))
    window.add(message(2))
    const before = window.messages
    window.remove({ epoch: 1n, seq: 9n })
    expect(window.messages).toBe(before)
    window.remove({ epoch: 1n, seq: 1n })
    expect(window.messages[0]).toMatchObject({ seq: 1n, deleted: true, sender: undefined, content: undefined })
    expect(window.add(message(3))).toBe('added')
    expect(seqs(window)).toEqual([1, 2, 3])
  })
})
