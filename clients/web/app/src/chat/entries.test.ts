import { create } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { MessageSchema, type Message } from '@gen/stoa/chat/v1/chat_pb'
import { describe, expect, it } from 'vitest'
import { entriesOf, type Entry } from './entries'

const noon = new Date(2026, 4, 1, 12).getTime()
const minute = 60_000
let seq = 0n
const said = (id: string, atMs: number, deleted = false): Message =>
  create(MessageSchema, { epoch: 1n, seq: ++seq, sender: deleted ? undefined : { id }, sentAt: timestampFromMs(atMs), deleted })
const kinds = (entries: Entry[]): string[] =>
  entries.map((entry) => (entry.kind === 'day' || entry.kind === 'begin' ? entry.kind : `${entry.kind}${entry.continued ? '+' : ''}`))
const item = (clientMsgId: string) => ({ clientMsgId, text: 'x', state: 'sending' as const })

describe('entriesOf', () => {
  it('says who writes once for what they write in one go', () => {
    const entries = entriesOf([said('a', noon), said('a', noon + minute), said('b', noon + minute), said('a', noon + 2 * minute)], [])
    expect(kinds(entries)).toEqual(['message', 'message+', 'message', 'message'])
  })

  it('says it again after a while', () => {
    expect(kinds(entriesOf([said('a', noon), said('a', noon + 3 * minute)], []))).toEqual(['message', 'message'])
  })

  it('says it again after a message that was taken away', () => {
    const entries = entriesOf([said('a', noon), said('a', noon, true), said('a', noon)], [])
    expect(kinds(entries)).toEqual(['message', 'message', 'message'])
  })

  it('begins each day with a line', () => {
    const midnight = new Date(2026, 4, 2).getTime()
    const entries = entriesOf([said('a', midnight - 1_000), said('a', midnight), said('a', midnight + 1_000)], [])
    expect(kinds(entries)).toEqual(['message', 'day', 'message', 'message+'])
    expect(new Set(entries.map(({ key }) => key)).size).toBe(entries.length)
  })

  it('puts what is on its way last', () => {
    const now = Date.now()
    expect(kinds(entriesOf([said('me', now)], [item('1'), item('2')], 'me'))).toEqual(['message', 'outgoing+', 'outgoing+'])
    expect(kinds(entriesOf([said('b', now)], [item('1'), item('2')], 'me'))).toEqual(['message', 'outgoing', 'outgoing+'])
    expect(kinds(entriesOf([], [item('1')], 'me'))).toEqual(['outgoing'])
  })

  it('says where the conversation begins', () => {
    expect(kinds(entriesOf([said('a', noon)], [], undefined, true))).toEqual(['begin', 'day', 'message'])
    expect(entriesOf([], [], undefined, true)).toEqual([])
  })

  it('keeps what stands at the top when older messages come before it', () => {
    const messages = [said('a', noon - 86_400_000), said('a', noon), said('b', noon)]
    const later = entriesOf(messages.slice(1), [])
    expect(entriesOf(messages, []).map(({ key }) => key)).toContain(later[0]?.key)
  })

  it('keeps the keys of messages when others go or come before them', () => {
    const messages = [said('a', noon), said('b', noon), said('a', noon)]
    const keys = (entries: Entry[]): string[] => entries.filter(({ kind }) => kind === 'message').map(({ key }) => key)
    expect(keys(entriesOf(messages.slice(1), []))).toEqual(keys(entriesOf(messages, [])).slice(1))
  })
})
