import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { Code, ConnectError } from '@connectrpc/connect'
import { MessageSchema, type EventSchema as ChatEventSchema, type Message } from '@gen/stoa/chat/v1/chat_pb'
import { ListMessagesResponseSchema, PullMessagesResponseSchema, type Have } from '@gen/stoa/chat/v1/chat_service_pb'
import { EnteredSchema, EventSchema } from '@gen/stoa/edge/v1/edge_pb'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Edge, RoomListener } from '../edge/edge'
import { followConversation, type FeedDeps, type FeedStatus } from './feed'
import { MessageWindow } from './window'

type ChatKind = MessageInitShape<typeof ChatEventSchema>['kind']

interface Signalled {
  signal: AbortSignal
}

const conversationId = 'room'
const capacity = 300
const atMs = 1_700_000_000_000

/** A conversation on a server, whose readers are told of what is written while they are connected. */
class Conversation {
  epoch = 1n
  stored: Message[] = []
  lastChange = 0n
  /** Calls that were made, in short. */
  readonly calls: string[] = []
  /** Fails a call by its name, or holds it up. */
  before: (call: string) => Promise<void> = () => Promise.resolve()
  listeners = new Set<RoomListener>()

  /** Stores messages up to a number, without telling anybody. */
  store(upTo: number, sentAtMs = atMs): void {
    for (let seq = this.stored.length + 1; seq <= upTo; seq++) {
      this.stored.push(create(MessageSchema, { epoch: this.epoch, seq: BigInt(seq), clientMsgId: `id-${seq}`, sentAt: timestampFromMs(sentAtMs) }))
    }
  }

  /** Deletes a message, without telling anybody. */
  delete(seq: number): void {
    const at = seq - 1
    const message = this.stored[at]
    if (message) this.stored[at] = create(MessageSchema, { ...message, deleted: true, change: ++this.lastChange })
  }

  tell(kind: ChatKind): void {
    this.tellEvent({ case: 'chat', value: { conversationId, kind } })
  }

  tellEvent(kind: MessageInitShape<typeof EventSchema>['kind']): void {
    for (const listener of [...this.listeners]) listener.onEvent(create(EventSchema, { kind }))
  }

  /** Tells a stored message. */
  push(seq: number): void {
    this.store(seq)
    this.tell({ case: 'message', value: this.at(seq) })
  }

  pushChange(seq: number): void {
    this.tell({ case: 'messageChanged', value: this.at(seq) })
  }

  say(): void {
    this.push(this.stored.length + 1)
  }

  readonly chat = {
    listMessages: async (_request: unknown, { signal }: Signalled) => {
      await this.call('list', signal)
      return create(ListMessagesResponseSchema, { messages: this.stored.slice(-200), hasMore: this.stored.length > 200 })
    },
    pullMessages: async ({ have: [have] }: { have: Have[] }, { signal }: Signalled) => {
      const { position, change = 0n } = have ?? {}
      await this.call(`pull ${position?.seq} ${change}`, signal)
      const isVoid = position?.epoch !== this.epoch
      const messages = this.stored.filter(({ seq }) => isVoid || seq > position.seq).slice(0, 100)
      const changed = this.stored.filter((message) => !isVoid && message.seq <= position.seq && message.change > change).toSorted((a, b) => Number(a.change - b.change))
      const hasMore = (messages.at(-1)?.seq ?? this.at(this.stored.length).seq) < this.stored.length
      return create(PullMessagesResponseSchema, { conversations: [{ conversationId, epoch: this.epoch, messages, changed, change: this.lastChange }], hasMore })
    },
  } as unknown as FeedDeps['chat']

  readonly edge: Pick<Edge, 'join'> = {
    join: (_conversationId, _options, listener) => {
      this.listeners.add(listener)
      return {
        enter: async () => {
          await this.call('enter')
          return create(EnteredSchema, { position: { epoch: this.epoch, seq: BigInt(this.stored.length) }, lastChange: this.lastChange, people: 3, likeCount: 5n })
        },
        leave: () => {
          this.calls.push('leave')
          this.listeners.delete(listener)
        },
      }
    },
  }

  private at(seq: number): Message {
    return this.stored[seq - 1] ?? create(MessageSchema)
  }

  private async call(name: string, signal?: AbortSignal): Promise<void> {
    this.calls.push(name)
    await this.before(name)
    if (signal?.aborted) throw new ConnectError('given up', Code.Canceled)
  }
}

/** A tab that follows a conversation. Its connection is what the test says it is. */
function follow(conversation: Conversation, window = new MessageWindow(capacity)) {
  const seen: number[] = []
  const live: number[] = []
  const changed: number[] = []
  const statuses: FeedStatus[] = []
  const abort = new AbortController()
  const deps: FeedDeps = {
    edge: conversation.edge,
    chat: conversation.chat,
    conversationId,
    unseen: false,
    window,
    onStatus: (status) => statuses.push(status),
    onMessage({ seq }, isLive) {
      seen.push(Number(seq))
      if (isLive) live.push(Number(seq))
    },
    onChanged: ({ seq }) => changed.push(Number(seq)),
    onEntered: vi.fn(),
    onLikes: vi.fn(),
    onViewerCount: vi.fn(),
    onBroadcast: vi.fn(),
  }
  followConversation(deps, abort.signal)
  const listener = [...conversation.listeners].at(-1)
  if (!listener) throw new Error('nobody follows')
  const settle = (ms = 0) => vi.advanceTimersByTimeAsync(ms)
  return {
    seen, live, changed, statuses, window, deps, abort, listener, settle,
    shown: () => window.messages.map(({ seq }) => Number(seq)),
    async signIn(resumed = false, ms = atMs) {
      listener.onSignedIn(resumed, ms)
      await settle()
    },
  }
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)
/** Holds a call up until it is let go. */
function holdUp(conversation: Conversation, which: string): () => Promise<void> {
  let letGo = (): void => undefined
  const held = new Promise<void>((resolve) => (letGo = resolve))
  conversation.before = (call) => (call.startsWith(which) ? held : Promise.resolve())
  return async () => {
    letGo()
    await vi.advanceTimersByTimeAsync(0)
  }
}

let conversation: Conversation
beforeEach(() => {
  vi.useFakeTimers()
  conversation = new Conversation()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a newcomer', () => {
  it('gets the latest messages, and then what happens', async () => {
    conversation.store(450)
    const feed = follow(conversation)
    expect(feed.statuses).toEqual(['connecting'])
    await feed.signIn()
    expect(conversation.calls).toEqual(['enter', 'list'])
    expect(feed.seen).toEqual(range(251, 450))
    expect(feed.statuses).toEqual(['connecting', 'open'])
    expect(feed.deps.onEntered).toHaveBeenCalledTimes(1)
    expect(feed.deps.onLikes).toHaveBeenCalledWith(5n, 0)
    expect(feed.deps.onViewerCount).toHaveBeenCalledWith(3)
    conversation.say()
    expect(feed.seen.at(-1)).toBe(451)
    expect(feed.live).toEqual([451])
  })

  it('merges what is said while the history is read, each once and in order', async () => {
    conversation.store(3)
    const feed = follow(conversation)
    const letGo = holdUp(conversation, 'list')
    await feed.signIn()
    // Those two are in the page as well, since it is read after them.
    conversation.say()
    conversation.say()
    await letGo()
    conversation.say()
    expect(feed.seen).toEqual([1, 2, 3, 4, 5, 6])
    expect(feed.live).toEqual([4, 5, 6])
  })

  it('takes what was pushed and is not in the page that was read before', async () => {
    conversation.store(2)
    const feed = follow(conversation)
    const { stored } = conversation
    const letGo = holdUp(conversation, 'list')
    await feed.signIn()
    conversation.say()
    conversation.say()
    conversation.stored = stored.slice(0, 3)
    await letGo()
    expect(feed.seen).toEqual([1, 2, 3, 4])
  })

  it('sees what was taken away while the history was read', async () => {
    conversation.store(3)
    const feed = follow(conversation)
    const letGo = holdUp(conversation, 'list')
    await feed.signIn()
    const before = [...conversation.stored]
    conversation.delete(2)
    conversation.pushChange(2)
    conversation.stored = before
    await letGo()
    expect(feed.window.messages.map(({ deleted }) => deleted)).toEqual([false, true, false])
    expect(feed.changed).toEqual([2])
  })

  it('of an empty conversation misses nothing of it', async () => {
    const feed = follow(conversation)
    await feed.signIn()
    conversation.store(1)
    conversation.push(2)
    await feed.settle()
    expect(feed.seen).toEqual([1, 2])
    expect(conversation.calls.at(-1)).toBe('pull 0 0')
  })

  it('comes in later when the room does not let them in now, and is told why', async () => {
    const refusal = new ConnectError('too many', Code.ResourceExhausted)
    let refusals = 2
    conversation.before = (call) => (call === 'enter' && refusals-- > 0 ? Promise.reject(refusal) : Promise.resolve())
    const onStatus = vi.fn()
    const feed = follow(conversation)
    feed.deps.onStatus = onStatus
    await feed.signIn()
    await feed.settle(3_000)
    expect(onStatus.mock.calls).toEqual([['reconnecting', refusal], ['reconnecting', refusal], ['open']])
  })

  it('is turned away where there is no such conversation, for good', async () => {
    conversation.before = () => Promise.reject(new ConnectError('missing', Code.NotFound))
    const feed = follow(conversation)
    await feed.signIn()
    await feed.settle(60_000)
    expect(feed.statuses).toEqual(['connecting', 'refused'])
    expect(conversation.calls).toEqual(['enter', 'leave'])
  })

  it('leaves when they go, and hears no more', async () => {
    const feed = follow(conversation)
    const letGo = holdUp(conversation, 'list')
    await feed.signIn()
    feed.abort.abort()
    await letGo()
    expect(conversation.calls).toEqual(['enter', 'list', 'leave'])
    expect(feed.statuses).toEqual(['connecting'])
  })
})

describe('a reader who is there', () => {
  it('is told of likes, people and broadcasts', async () => {
    const feed = follow(conversation)
    await feed.signIn()
    conversation.tell({ case: 'likes', value: { count: 4, total: 9n } })
    conversation.tellEvent({ case: 'people', value: { conversationId, count: 12 } })
    conversation.tellEvent({ case: 'broadcast', value: { conversationId, broadcast: { id: 'b' } } })
    expect(feed.deps.onLikes).toHaveBeenLastCalledWith(9n, 4)
    expect(feed.deps.onViewerCount).toHaveBeenLastCalledWith(12)
    expect(feed.deps.onBroadcast).toHaveBeenCalledWith(expect.objectContaining({ id: 'b' }))
  })

  it('shows a message once that is pushed twice', async () => {
    conversation.store(2)
    const feed = follow(conversation)
    await feed.signIn()
    for (const seq of [3, 3, 2, 4, 3]) conversation.push(seq)
    expect(feed.seen).toEqual([1, 2, 3, 4])
  })

  it('reads what a push leaves out, and keeps the order', async () => {
    conversation.store(1)
    const feed = follow(conversation)
    await feed.signIn()
    conversation.store(3)
    conversation.push(4)
    expect(feed.seen).toEqual([1])
    conversation.push(5)
    await feed.settle()
    expect(feed.seen).toEqual([1, 2, 3, 4, 5])
    expect(conversation.calls.filter((call) => call.startsWith('pull'))).toEqual(['pull 1 0'])
    expect(feed.statuses).toEqual(['connecting', 'open', 'open'])
  })

  it('reads once more when more is left out meanwhile, and takes what it gets', async () => {
    conversation.store(1)
    const feed = follow(conversation)
    await feed.signIn()
    const letGo = holdUp(conversation, 'pull 1')
    conversation.store(3)
    conversation.push(4)
    // What the first answer cannot have yet.
    conversation.store(9)
    conversation.stored = conversation.stored.filter(({ seq }) => seq !== 7n)
    const all = conversation.stored
    conversation.stored = all.filter(({ seq }) => seq <= 4n)
    conversation.tell({ case: 'message', value: all.find(({ seq }) => seq === 9n) ?? {} })
    const pulled = letGo()
    conversation.before = (call) => {
      if (call.startsWith('pull 4')) conversation.stored = all
      return Promise.resolve()
    }
    await pulled
    await feed.settle()
    // The server does not show this reader the seventh.
    expect(feed.seen).toEqual([1, 2, 3, 4, 5, 6, 8, 9])
  })

  it('takes what it is told where asking for more does not help', async () => {
    conversation.store(1)
    const feed = follow(conversation)
    await feed.signIn()
    conversation.tell({ case: 'message', value: { epoch: 1n, seq: 5n } })
    conversation.tell({ case: 'messageChanged', value: { epoch: 1n, seq: 1n, change: 8n, pinned: true } })
    await feed.settle()
    expect(feed.seen).toEqual([1, 5])
    expect(feed.window.messages[0]?.pinned).toBe(true)
    expect(feed.window.change).toBe(8n)
    expect(conversation.calls.slice(2)).toEqual(['pull 1 0', 'pull 5 0'])
  })

  it('replaces what was edited or taken away, and reads a change that was left out', async () => {
    conversation.store(4)
    const feed = follow(conversation)
    await feed.signIn()
    conversation.delete(1)
    conversation.pushChange(1)
    expect(feed.changed).toEqual([1])
    conversation.delete(2)
    conversation.delete(3)
    conversation.pushChange(3)
    await feed.settle()
    expect(conversation.calls.at(-1)).toBe('pull 4 1')
    expect(feed.window.messages.map(({ deleted }) => deleted)).toEqual([true, true, true, false])
    expect(new Set(feed.changed)).toEqual(new Set([1, 2, 3]))
  })

  it('is told of a change to what is not kept any more', async () => {
    conversation.store(400)
    const feed = follow(conversation)
    await feed.signIn()
    conversation.delete(5)
    conversation.pushChange(5)
    expect(feed.changed).toEqual([5])
    expect(feed.shown()).toEqual(range(201, 400))
  })
})

describe('a reader who was cut off', () => {
  it('reads nothing again when the session goes on, and tells what is old from what is new', async () => {
    conversation.store(2)
    const feed = follow(conversation)
    await feed.signIn()
    const calls = conversation.calls.length
    feed.listener.onCut()
    conversation.store(4, atMs + 1_000)
    await feed.signIn(true, atMs + 5_000)
    conversation.push(3)
    conversation.push(4)
    conversation.store(5, atMs + 6_000)
    conversation.push(5)
    expect(feed.seen).toEqual([1, 2, 3, 4, 5])
    expect(feed.live).toEqual([5])
    expect(feed.statuses).toEqual(['connecting', 'open', 'reconnecting', 'open'])
    expect(conversation.calls).toHaveLength(calls)
    expect(feed.deps.onEntered).toHaveBeenCalledTimes(1)
  })

  it('reads what came and what changed when the session is over', async () => {
    conversation.store(3)
    const feed = follow(conversation)
    await feed.signIn()
    conversation.say()
    feed.listener.onCut()
    conversation.store(290)
    conversation.delete(2)
    conversation.delete(280)
    await feed.signIn(false)
    // Over several pages.
    expect(conversation.calls.slice(2)).toEqual(['enter', 'pull 4 0', 'pull 104 2', 'pull 204 2'])
    expect(feed.seen).toEqual(range(1, 290))
    expect(feed.live).toEqual([4])
    expect(feed.window.messages.filter(({ deleted }) => deleted).map(({ seq }) => seq)).toEqual([2n, 280n])
    expect(feed.changed).toEqual([2])
    expect(feed.statuses.at(-1)).toBe('open')
    conversation.say()
    expect(feed.live).toEqual([4, 291])
  })

  it('begins with the latest when they would keep nothing of what they have, and still learns what changed', async () => {
    conversation.store(3)
    const feed = follow(conversation)
    await feed.signIn()
    feed.listener.onCut()
    conversation.store(3 + capacity + 1)
    conversation.delete(1)
    await feed.signIn(false)
    expect(conversation.calls.slice(2)).toEqual(['enter', 'list', 'pull 304 0'])
    expect(feed.shown()).toEqual(range(105, 304))
    expect(feed.changed).toEqual([1])
  })

  it('starts over when the history was lost', async () => {
    conversation.store(9)
    const feed = follow(conversation)
    await feed.signIn()
    feed.listener.onCut()
    conversation.epoch = 2n
    conversation.stored = []
    conversation.store(2)
    await feed.signIn(false)
    expect(feed.window.messages.map(({ epoch, seq }) => [epoch, seq])).toEqual([[2n, 1n], [2n, 2n]])
  })

  it('enters once more when the cut came before the answer', async () => {
    conversation.store(2)
    const feed = follow(conversation)
    const letGo = holdUp(conversation, 'enter')
    await feed.signIn()
    feed.listener.onCut()
    await letGo()
    await feed.signIn(true)
    expect(conversation.calls.filter((call) => call === 'enter')).toHaveLength(2)
    expect(feed.seen).toEqual([1, 2])
  })

  it('goes on reading where a cut has ended it, with all that was pushed before', async () => {
    conversation.store(2)
    const feed = follow(conversation)
    const letGo = holdUp(conversation, 'list')
    await feed.signIn()
    conversation.say()
    feed.listener.onCut()
    await letGo()
    await feed.signIn(true)
    expect(feed.seen).toEqual([1, 2, 3])
    expect(conversation.calls.filter((call) => call === 'enter')).toHaveLength(1)
    expect(feed.statuses.at(-1)).toBe('open')
  })

  it('asks again when reading fails, and loses nothing meanwhile', async () => {
    conversation.store(2)
    const feed = follow(conversation)
    let failures = 3
    conversation.before = (call) => (call === 'list' && failures-- > 0 ? Promise.reject(new ConnectError('busy', Code.Unavailable)) : Promise.resolve())
    await feed.signIn()
    for (let i = 0; i < 5; i++) {
      conversation.say()
      await feed.settle(1_500)
    }
    expect(feed.seen).toEqual(range(1, 7))
    expect(feed.statuses.at(-1)).toBe('open')
  })

  it('comes back as a new follower with what the window has', async () => {
    conversation.store(2)
    const before = follow(conversation)
    await before.signIn()
    before.abort.abort()
    conversation.delete(1)
    conversation.store(3)
    const feed = follow(conversation, before.window)
    await feed.signIn()
    expect(conversation.calls.at(-1)).toBe('pull 2 0')
    expect(feed.seen).toEqual([3])
    expect(feed.changed).toEqual([1])
  })

  it('stays away when the server wants no more, until the connection is there again', async () => {
    const feed = follow(conversation)
    await feed.signIn()
    feed.listener.onEnded(new ConnectError('elsewhere', Code.Aborted))
    await feed.settle(60_000)
    expect(feed.statuses.at(-1)).toBe('away')
    await feed.signIn()
    expect(feed.statuses.at(-1)).toBe('open')
  })

  it('who hears very much while history is read reads the rest of it as history', async () => {
    const feed = follow(conversation)
    const letGo = holdUp(conversation, 'list')
    await feed.signIn()
    for (let i = 0; i < 5_000; i++) conversation.say()
    conversation.stored = conversation.stored.slice(0, 100)
    conversation.before = (call) => {
      if (call.startsWith('pull')) conversation.store(5_000)
      return Promise.resolve()
    }
    await letGo()
    await feed.settle()
    expect(feed.seen).toEqual(range(1, 5_000))
  })
})
