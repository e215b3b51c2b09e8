import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { Code, ConnectError } from '@connectrpc/connect'
import { MessageSchema, type EventSchema, type Message, type Position } from '@gen/stoa/chat/v1/chat_pb'
import { SubscribeResponseSchema, type SubscribeResponse } from '@gen/stoa/chat/v1/chat_service_pb'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { followConversation, HEARTBEAT_TIMEOUT_MS, type FeedDeps, type FeedStatus } from './feed'
import { MessageWindow } from './window'

type Kind = NonNullable<MessageInitShape<typeof EventSchema>['kind']>
type Script = (after: Pick<Position, 'epoch' | 'seq'> | undefined, signal: AbortSignal) => AsyncIterable<SubscribeResponse>

const event = (kind: Kind): SubscribeResponse => create(SubscribeResponseSchema, { event: { kind } })
const message = (seq: number): SubscribeResponse =>
  event({ case: 'message', value: { epoch: 1n, seq: BigInt(seq), clientMsgId: `id-${seq}` } })
const greeting = (): SubscribeResponse => event({ case: 'subscribed', value: { viewerCount: 3, likeCount: 5n } })

/** Stays open without a word until it is aborted. */
const silent = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(new ConnectError('', Code.Canceled))))

/** Follows a conversation whose server answers its connections by the given scripts, the last one for ever. */
function follow(scripts: Script[], more: Partial<FeedDeps> = {}) {
  const window = new MessageWindow(100)
  const asked: (number | undefined)[] = []
  const seen: number[] = []
  const live: number[] = []
  const statuses: FeedStatus[] = []
  const renewToken = vi.fn(() => Promise.resolve('new'))
  const abort = new AbortController()
  const deps: FeedDeps = {
    subscribe(after, signal) {
      asked.push(after && Number(after.seq))
      const script = scripts.length > 1 ? scripts.shift() : scripts[0]
      if (!script) throw new Error('no script')
      return script(after, signal)
    },
    renewToken,
    window,
    readPage: () => Promise.resolve([]),
    onStatus: (status) => statuses.push(status),
    onMessage({ seq }, isLive) {
      seen.push(Number(seq))
      if (isLive) live.push(Number(seq))
    },
    onDeleted: vi.fn(),
    onSubscribed: vi.fn(),
    onLikes: vi.fn(),
    onViewerCount: vi.fn(),
    onBroadcast: vi.fn(),
    ...more,
  }
  const done = followConversation(deps, abort.signal)
  return { asked, seen, live, window, statuses, renewToken, deps, abort, done }
}

const quiet: Script = async function* (_after, signal) {
  yield greeting()
  await silent(signal)
}

describe('followConversation', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('greets a newcomer with history and then tells what happens', async () => {
    const feed = follow([
      async function* (_after, signal) {
        yield message(1)
        yield message(2)
        yield greeting()
        yield event({ case: 'viewerCount', value: { count: 9 } })
        await silent(signal)
      },
    ])
    await vi.advanceTimersByTimeAsync(0)
    expect(feed.seen).toEqual([1, 2])
    expect(feed.statuses).toEqual(['connecting', 'open'])
    expect(feed.deps.onViewerCount).toHaveBeenLastCalledWith(9)
    expect(feed.deps.onLikes).toHaveBeenCalledWith(5n, 0)
    feed.abort.abort()
    await feed.done
  })

  it('tells what is live from history, also after a cut', async () => {
    const feed = follow([
      async function* () {
        yield message(1)
        yield greeting()
        yield message(2)
        await Promise.resolve()
        throw new ConnectError('cut', Code.Unavailable)
      },
      async function* (_after, signal) {
        yield message(3)
        yield greeting()
        yield message(4)
        await silent(signal)
      },
    ])
    await vi.advanceTimersByTimeAsync(2_000)
    expect(feed.seen).toEqual([1, 2, 3, 4])
    expect(feed.live).toEqual([2, 4])
    feed.abort.abort()
    await feed.done
  })

  it('empties a message that is taken away', async () => {
    const feed = follow([
      async function* (_after, signal) {
        yield message(1)
        yield message(2)
        yield greeting()
        yield event({ case: 'messageDeleted', value: { position: { epoch: 1n, seq: 1n } } })
        await silent(signal)
      },
    ])
    await vi.advanceTimersByTimeAsync(0)
    expect(feed.deps.onDeleted).toHaveBeenCalledTimes(1)
    expect(feed.window.messages.map(({ deleted }) => deleted)).toEqual([true, false])
    feed.abort.abort()
    await feed.done
  })

  it('learns after a cut what was taken away meanwhile, also from what is shown besides', async () => {
    const stored = (seq: number, deleted: boolean): Message => create(MessageSchema, { epoch: 1n, seq: BigInt(seq), deleted })
    const onDeleted = vi.fn()
    const asked: number[] = []
    let failures = 1
    const feed = follow(
      [
        async function* () {
          for (let seq = 51; seq <= 55; seq++) yield message(seq)
          yield greeting()
          await Promise.resolve()
          throw new ConnectError('cut', Code.Unavailable)
        },
        async function* (_after, signal) {
          yield message(56)
          yield greeting()
          await silent(signal)
        },
      ],
      {
        onDeleted,
        shownBesides: () => [stored(11, false), stored(12, true), stored(13, false)],
        // Two messages a page, all even ones taken away; the first call fails.
        readPage({ seq }) {
          if (failures-- > 0) return Promise.reject(new ConnectError('away', Code.Unavailable))
          asked.push(Number(seq))
          return Promise.resolve([1, 2].map((i) => stored(Number(seq) + i, (Number(seq) + i) % 2 === 0)))
        },
      },
    )
    await vi.advanceTimersByTimeAsync(10)
    expect(asked).toEqual([])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(asked.toSorted((a, b) => a - b)).toEqual([10, 12, 50, 52, 54])
    expect(onDeleted.mock.calls).toEqual([[{ epoch: 1n, seq: 52n }], [{ epoch: 1n, seq: 54n }], [{ epoch: 1n, seq: 56n }]])
    expect(feed.window.messages.map(({ deleted }) => deleted)).toEqual([false, true, false, true, false, true])
    feed.abort.abort()
    await feed.done
  })

  it('tells how many likes came', async () => {
    const feed = follow([
      async function* (_after, signal) {
        yield greeting()
        yield event({ case: 'likes', value: { count: 4, total: 9n } })
        await silent(signal)
      },
    ])
    await vi.advanceTimersByTimeAsync(0)
    expect(feed.deps.onLikes).toHaveBeenLastCalledWith(9n, 4)
    feed.abort.abort()
    await feed.done
  })

  it('comes back with its position, and shows nothing twice', async () => {
    const feed = follow([
      async function* () {
        yield message(1)
        yield message(2)
        await Promise.resolve()
        throw new ConnectError('cut', Code.Unavailable)
      },
      async function* (_after, signal) {
        yield message(2)
        yield message(3)
        yield greeting()
        await silent(signal)
      },
    ])
    await vi.advanceTimersByTimeAsync(2_000)
    expect(feed.asked).toEqual([undefined, 2])
    expect(feed.seen).toEqual([1, 2, 3])
    expect(feed.statuses).toEqual(['connecting', 'reconnecting', 'open'])
    feed.abort.abort()
    await feed.done
  })

  it('asks again at once when a message is left out, and then takes what it gets', async () => {
    const leavesOut: Script = async function* (_after, signal) {
      yield message(1)
      yield message(3)
      await silent(signal)
    }
    const feed = follow([leavesOut, leavesOut])
    await vi.advanceTimersByTimeAsync(0)
    expect(feed.asked).toEqual([undefined, 1])
    expect(feed.seen).toEqual([1, 3])
    feed.abort.abort()
    await feed.done
  })

  it('gives up a stream that is silent for too long', async () => {
    const feed = follow([quiet])
    await vi.advanceTimersByTimeAsync(HEARTBEAT_TIMEOUT_MS - 1)
    expect(feed.asked).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(2_000)
    expect(feed.asked).toHaveLength(2)
    feed.abort.abort()
    await feed.done
  })

  it('stays on a stream that has only heartbeats', async () => {
    const feed = follow([
      async function* (_after, signal) {
        yield greeting()
        while (!signal.aborted) {
          await new Promise((resolve) => setTimeout(resolve, 15_000))
          yield event({ case: 'heartbeat', value: {} })
        }
      },
    ])
    await vi.advanceTimersByTimeAsync(5 * 60_000)
    expect(feed.asked).toHaveLength(1)
    feed.abort.abort()
    await vi.advanceTimersByTimeAsync(15_000)
    await feed.done
  })

  it('renews a refused token', async () => {
    const refuses: Script = async function* (): AsyncIterable<SubscribeResponse> {
      await Promise.resolve()
      throw new ConnectError('revoked', Code.Unauthenticated)
      yield greeting()
    }
    const feed = follow([refuses, quiet])
    await vi.advanceTimersByTimeAsync(1_000)
    expect(feed.renewToken).toHaveBeenCalledTimes(1)
    expect(feed.statuses.at(-1)).toBe('open')
    feed.abort.abort()
    await feed.done
  })

  it('tells why it is not let in, and comes in later', async () => {
    const refusal = new ConnectError('too many', Code.ResourceExhausted)
    const refuses: Script = async function* (): AsyncIterable<SubscribeResponse> {
      await Promise.resolve()
      throw refusal
      yield greeting()
    }
    const onStatus = vi.fn()
    const feed = follow([refuses, quiet], { onStatus })
    await vi.advanceTimersByTimeAsync(1_000)
    expect(onStatus.mock.calls).toEqual([['connecting'], ['reconnecting', refusal], ['open']])
    feed.abort.abort()
    await feed.done
  })

  it('ends where there is no such conversation', async () => {
    const missing: Script = async function* (): AsyncIterable<SubscribeResponse> {
      await Promise.resolve()
      throw new ConnectError('missing', Code.NotFound)
      yield greeting()
    }
    const feed = follow([missing])
    await feed.done
    expect(feed.statuses).toEqual(['connecting', 'refused'])
  })
})

