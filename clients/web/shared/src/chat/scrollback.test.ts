import { create } from '@bufbuild/protobuf'
import { MessageSchema, type Message } from '@gen/stoa/chat/v1/chat_pb'
import { describe, expect, it } from 'vitest'
import { Scrollback } from './scrollback'
import { MessageWindow } from './window'

const message = (seq: number, epoch = 1): Message => create(MessageSchema, { epoch: BigInt(epoch), seq: BigInt(seq) })
const changed = (seq: number): Message => create(MessageSchema, { epoch: 1n, seq: BigInt(seq), deleted: true, change: 1n })
const pages = (from: number, to: number): Message[] => Array.from({ length: to - from + 1 }, (_, i) => message(from + i))
const seqs = ({ messages }: Scrollback): number[] => messages.map(({ seq }) => Number(seq))
const range = (from: number, to: number): number[] => pages(from, to).map(({ seq }) => Number(seq))

/** A stretch over a tail of 10, showing 10 and keeping 20 for readers, in a conversation whose last messages are given. */
function scrollback(from: number, to: number) {
  const tail = new MessageWindow(10)
  const view = new Scrollback(tail, { following: 10, reading: 20 })
  const say = (first: number, last: number, reading = false, epoch = 1): void => {
    for (let seq = first; seq <= last; seq++) tail.add(message(seq, epoch))
    view.update(reading)
  }
  say(from, to)
  return { tail, view, say }
}

describe('Scrollback', () => {
  it('moves with the newest messages', () => {
    const { view, say } = scrollback(1, 5)
    say(6, 14)
    expect(seqs(view)).toEqual(range(5, 14))
    expect(view.atEnd).toBe(true)
    expect(view.hasOlder).toBe(true)
  })

  it('keeps what a reader has, while new messages come', () => {
    const { view, say } = scrollback(1, 10)
    say(11, 15, true)
    expect(seqs(view)).toEqual(range(1, 15))
    expect(view.hasOlder).toBe(false)
  })

  it('gives up what a reader no longer needs when they are back at the end', () => {
    const { view, say } = scrollback(1, 10)
    say(11, 15, true)
    say(16, 16)
    expect(seqs(view)).toEqual(range(7, 16))
  })

  it('lets go of the end when a reader has enough, and holds no more than that', () => {
    const { view, say } = scrollback(1, 10)
    for (let seq = 11; seq < 200; seq += 5) say(seq, seq + 4, true)
    expect(seqs(view)).toEqual(range(1, 20))
    expect(view.atEnd).toBe(false)
  })

  it('goes back to the newest at once when asked to', () => {
    const { view, say } = scrollback(1, 10)
    for (let seq = 11; seq < 61; seq += 5) say(seq, seq + 4, true)
    view.toEnd()
    expect(seqs(view)).toEqual(range(51, 60))
    expect(view.atEnd).toBe(true)
  })

  it('puts older messages first, each once', () => {
    const { view } = scrollback(101, 110)
    view.addOlder(pages(96, 102))
    expect(seqs(view)).toEqual(range(96, 110))
    view.addOlder([])
    expect(seqs(view)).toEqual(range(96, 110))
  })

  it('lets go of the end for older messages, and finds the way down again', () => {
    const { view, say } = scrollback(101, 110)
    view.addOlder(pages(91, 100))
    view.addOlder(pages(81, 90))
    expect(seqs(view)).toEqual(range(81, 100))
    expect(view.atEnd).toBe(false)
    say(111, 113, true)
    expect(seqs(view)).toEqual(range(81, 100))
    view.addNewer(pages(101, 103))
    expect(seqs(view)).toEqual(range(94, 113))
    expect(view.atEnd).toBe(true)
    say(114, 115, true)
    expect(seqs(view).at(-1)).toBe(113)
    expect(view.atEnd).toBe(false)
  })

  it('says so when the way down is longer than a page', () => {
    const { view, say } = scrollback(1, 10)
    for (let seq = 11; seq < 61; seq += 5) say(seq, seq + 4, true)
    view.addNewer(pages(21, 30))
    expect(seqs(view)).toEqual(range(11, 30))
    expect(view.atEnd).toBe(false)
    view.addNewer(pages(31, 50))
    expect(view.atEnd).toBe(true)
    expect(seqs(view)).toEqual(range(41, 60))
  })

  it('does not hide a hole that a long absence left', () => {
    const { view, say } = scrollback(1, 10)
    say(11, 40, true)
    expect(seqs(view)).toEqual(range(1, 10))
    expect(view.atEnd).toBe(false)
  })

  it('starts over in a new epoch, and takes no page of the old one', () => {
    const { view, say } = scrollback(5, 10)
    say(3, 4, true, 2)
    expect(seqs(view)).toEqual([3, 4])
    view.addOlder(pages(1, 2))
    expect(seqs(view)).toEqual([3, 4])
  })

  it('empties a message that was taken away', () => {
    const { view } = scrollback(1, 3)
    view.replace(changed(2))
    expect(view.messages.map(({ deleted }) => deleted)).toEqual([false, true, false])
  })

  it('keeps the latest state of a message, whatever comes late', () => {
    const { view } = scrollback(1, 3)
    view.replace(create(MessageSchema, { epoch: 1n, seq: 2n, deleted: true, change: 7n }))
    view.replace(create(MessageSchema, { epoch: 1n, seq: 2n, change: 6n }))
    expect(view.messages[1]).toMatchObject({ seq: 2n, deleted: true, change: 7n })
  })

  it('does not bring back what was taken away while a page was on its way', () => {
    const { view } = scrollback(11, 13)
    const page = pages(8, 10)
    view.replace(changed(9))
    view.addOlder(page)
    expect(view.messages.filter(({ deleted }) => deleted).map(({ seq }) => seq)).toEqual([9n])
  })
})
