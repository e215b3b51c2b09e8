import { Code, ConnectError } from '@connectrpc/connect'
import { GoodbyeReason, type Event } from '@gen/stoa/edge/v1/edge_pb'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { errorReason, retryAfterMs } from '../api/errors'
import { EdgeConnection, LINGER_MS } from './connection'
import type { RoomListener } from './edge'
import { FakeServer, pack } from './fakeServer'
import { DEAD_AFTER_MS, SIGN_IN_TIMEOUT_MS } from './link'

/** Somebody in a room, who writes down what they are told. */
function follower() {
  const told: string[] = []
  const failures: (ConnectError | undefined)[] = []
  const events: Event[] = []
  const listener: RoomListener = {
    onSignedIn: (resumed) => told.push(resumed ? 'resumed' : 'signed in'),
    onCut(failure) {
      told.push('cut')
      failures.push(failure)
    },
    onEnded(failure) {
      told.push('ended')
      failures.push(failure)
    },
    onEvent: (event) => events.push(event),
  }
  return { told, failures, events, listener }
}

/** A tab whose tokens are token-1, token-2 and so on: another one for each that was refused. */
function openTab() {
  const server = new FakeServer()
  const tokens = { current: 1 }
  const accessToken = vi.fn((refused?: string) => {
    if (refused === `token-${tokens.current}`) tokens.current++
    return Promise.resolve(`token-${tokens.current}`)
  })
  const onReach = vi.fn()
  const edge = new EdgeConnection({ openSocket: server.openSocket, accessToken, acceptGzip: true, onReach })
  return { server, edge, tokens, accessToken, onReach }
}

/** A tab that is in a room. */
async function inRoom() {
  const tab = openTab()
  const ada = follower()
  const room = tab.edge.join('room', { unseen: false }, ada.listener)
  await vi.advanceTimersByTimeAsync(10)
  expect(ada.told).toEqual(['signed in'])
  return { ...tab, ...ada, room }
}

const message = (seq: number) => ({ case: 'chat' as const, value: { conversationId: 'room', kind: { case: 'message' as const, value: { epoch: 1n, seq: BigInt(seq) } } } })
const soon = 2_000

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a connection', () => {
  it('signs in with its first frame, when somebody enters a room', async () => {
    const { server, edge } = openTab()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(server.sockets).toHaveLength(0)
    edge.join('room', { unseen: false }, follower().listener)
    await vi.advanceTimersByTimeAsync(10)
    expect(server.socket.heard[0]).toMatchObject({ id: 1, kind: { case: 'signIn', value: { accessToken: 'token-1', acceptGzip: true } } })
    expect(server.socket.all('signIn')[0]?.resume).toBeUndefined()
  })

  it('enters a room, tells what happens in it, and leaves it with the last follower', async () => {
    const { server, edge, room, events } = await inRoom()
    const entering = room.enter()
    await vi.advanceTimersByTimeAsync(10)
    expect(await entering).toMatchObject({ people: 3, likeCount: 5n })
    server.socket.push(message(1), { case: 'people', value: { conversationId: 'other', count: 1 } }, { case: 'people', value: { conversationId: 'room', count: 2 } })
    expect(events.map(({ kind }) => kind.case)).toEqual(['chat', 'people'])

    const other = follower()
    const second = edge.join('room', { unseen: true }, other.listener)
    await vi.advanceTimersByTimeAsync(10)
    expect(other.told).toEqual(['signed in'])
    room.leave()
    room.leave()
    await vi.advanceTimersByTimeAsync(10)
    expect(server.socket.all('leave')).toHaveLength(0)
    // Nobody is left who is counted.
    expect(server.socket.all('enter').map(({ unseen }) => unseen)).toEqual([false, true])
    second.leave()
    await vi.advanceTimersByTimeAsync(10)
    expect(server.socket.all('leave')).toMatchObject([{ conversationId: 'room' }])
  })

  it('is kept for the next room for a while, and then closed', async () => {
    const { server, edge, room } = await inRoom()
    room.leave()
    await vi.advanceTimersByTimeAsync(LINGER_MS - 100)
    const next = edge.join('next', { unseen: false }, follower().listener)
    await vi.advanceTimersByTimeAsync(2 * LINGER_MS)
    expect(server.socket.closeCode).toBeUndefined()
    next.leave()
    await vi.advanceTimersByTimeAsync(LINGER_MS + 100)
    expect(server.socket.closeCode).toBe(1000)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(server.sockets).toHaveLength(1)
  })

  it('takes the session up again after a cut, with all that it has received', async () => {
    const { server, told, onReach } = await inRoom()
    server.socket.push(message(1))
    server.socket.push(message(2), message(3))
    server.socket.cut()
    await vi.advanceTimersByTimeAsync(soon)
    expect(server.socket.all('signIn')[0]?.resume).toMatchObject({ sessionId: 'node.session-1', received: 2n })
    expect(told).toEqual(['signed in', 'cut', 'resumed'])
    // The count goes on.
    server.socket.push(message(4))
    server.socket.cut()
    await vi.advanceTimersByTimeAsync(soon)
    expect(server.socket.all('signIn')[0]?.resume).toMatchObject({ sessionId: 'node.session-1', received: 3n })
    expect(onReach.mock.calls.flat()).toEqual([true, true, true])
  })

  it('begins a new session where the server has none, and counts anew', async () => {
    const { server, told } = await inRoom()
    server.socket.push(message(1))
    server.resumes = false
    server.socket.cut()
    await vi.advanceTimersByTimeAsync(soon)
    expect(told).toEqual(['signed in', 'cut', 'signed in'])
    server.resumes = true
    server.socket.push(message(1))
    server.socket.cut()
    await vi.advanceTimersByTimeAsync(soon)
    expect(server.socket.all('signIn')[0]?.resume).toMatchObject({ sessionId: 'node.session-2', received: 1n })
  })

  it('asks for no session that the server has given up by then', async () => {
    const { server } = await inRoom()
    server.isAway = true
    server.socket.cut()
    await vi.advanceTimersByTimeAsync(130_000)
    server.isAway = false
    await vi.advanceTimersByTimeAsync(20_000)
    expect(server.socket.all('signIn')[0]?.resume).toBeUndefined()
  })

  it('comes back more and more slowly while there is no server, and says so', async () => {
    const { server, onReach } = await inRoom()
    server.isAway = true
    server.socket.cut()
    await vi.advanceTimersByTimeAsync(60_000)
    const attempts = server.sockets.length - 1
    expect(attempts).toBeGreaterThan(5)
    expect(attempts).toBeLessThan(15)
    expect(onReach).toHaveBeenLastCalledWith(false)
  })

  it('leaves, after a resume, what was left while it was cut', async () => {
    const { server, edge, room } = await inRoom()
    const next = follower()
    server.socket.cut()
    edge.join('next', { unseen: false }, next.listener)
    room.leave()
    await vi.advanceTimersByTimeAsync(soon)
    expect(next.told.at(-1)).toBe('resumed')
    expect(server.socket.all('leave')).toMatchObject([{ conversationId: 'room' }])
  })

  it('acks every 50 pushes, and within five seconds', async () => {
    const { server } = await inRoom()
    for (let i = 1; i <= 120; i++) server.socket.push(message(i))
    expect(server.socket.all('ack').map(({ received }) => received)).toEqual([50n, 100n])
    await vi.advanceTimersByTimeAsync(5_000)
    expect(server.socket.all('ack').map(({ received }) => received)).toEqual([50n, 100n, 120n])
    await vi.advanceTimersByTimeAsync(20_000)
    expect(server.socket.all('ack')).toHaveLength(3)
  })
})

describe('a connection that may be dead', () => {
  it('is kept by pings well within the silence that the server bears', async () => {
    const { server } = await inRoom()
    await vi.advanceTimersByTimeAsync(300_000)
    expect(server.sockets).toHaveLength(1)
    expect(server.socket.all('ping').length).toBeGreaterThanOrEqual(300 / 30)
    const short = openTab()
    short.server.signedIn.silenceMs = 4_000
    short.edge.join('room', { unseen: false }, follower().listener)
    await vi.advanceTimersByTimeAsync(20_000)
    expect(short.server.socket.all('ping').length).toBeGreaterThanOrEqual(9)
  })

  it('is given up when nothing was heard for 40 seconds', async () => {
    const { server, told } = await inRoom()
    server.answer = () => undefined
    await vi.advanceTimersByTimeAsync(DEAD_AFTER_MS - 100)
    expect(told).toEqual(['signed in'])
    await vi.advanceTimersByTimeAsync(200)
    expect(told).toEqual(['signed in', 'cut'])
    expect(server.socket.closeCode).toBe(1000)
  })

  it('is heard until then, counted from the last frame', async () => {
    const { server, told } = await inRoom()
    await vi.advanceTimersByTimeAsync(32_000)
    server.answer = () => undefined
    await vi.advanceTimersByTimeAsync(36_000)
    expect(told).toEqual(['signed in'])
    await vi.advanceTimersByTimeAsync(5_000)
    expect(told.slice(0, 2)).toEqual(['signed in', 'cut'])
  })

  it('is given the time to answer a ping that came late', async () => {
    const interval = setInterval
    vi.stubGlobal('setInterval', (task: () => void) => interval(task, DEAD_AFTER_MS - 1_000))
    const { server, told } = await inRoom()
    vi.unstubAllGlobals()
    server.latencyMs = 3_000
    await vi.advanceTimersByTimeAsync(DEAD_AFTER_MS + 5_000)
    expect(told).toEqual(['signed in'])
  })

  it('is asked first where this browser holds the timers of a hidden tab', async () => {
    const interval = setInterval
    vi.stubGlobal('setInterval', (task: () => void) => interval(task, 60_000))
    const { server, told } = await inRoom()
    vi.unstubAllGlobals()
    await vi.advanceTimersByTimeAsync(600_000)
    expect(told).toEqual(['signed in'])
    server.answer = () => undefined
    await vi.advanceTimersByTimeAsync(60_000)
    expect(told.slice(0, 2)).toEqual(['signed in', 'cut'])
  })

  it('is given up when the sign-in is not answered', async () => {
    const { server, edge } = openTab()
    const ada = follower()
    server.isSilent = true
    edge.join('room', { unseen: false }, ada.listener)
    await vi.advanceTimersByTimeAsync(SIGN_IN_TIMEOUT_MS - 100)
    expect(ada.told).toEqual([])
    await vi.advanceTimersByTimeAsync(200)
    expect(ada.told).toEqual(['cut'])
    expect(server.socket.closeCode).toBe(1000)
  })

  it('is given up when it says what is no frame', async () => {
    const { server, told } = await inRoom()
    server.socket.sayBytes(new Uint8Array([0xff, 0xff, 0xff]))
    await vi.advanceTimersByTimeAsync(soon)
    expect(told).toEqual(['signed in', 'cut', 'resumed'])
  })
})

describe('a goodbye', () => {
  it('is waited out as the server asks', async () => {
    const { server, told } = await inRoom()
    server.socket.goodbye({ reason: GoodbyeReason.DRAINING, reconnectMs: 7_000 })
    await vi.advanceTimersByTimeAsync(6_900)
    expect(server.sockets).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(200)
    expect(told).toEqual(['signed in', 'cut', 'resumed'])
  })

  it.each([
    { reason: GoodbyeReason.SIGNED_IN_ELSEWHERE, reconnectMs: 0 },
    { reason: GoodbyeReason.KICKED, reconnectMs: -1 },
    { reason: GoodbyeReason.SIGN_IN_REFUSED, reconnectMs: -1, error: { code: Code.ResourceExhausted, reason: 'TOO_MANY_SESSIONS' } },
  ])('of $reason is for good, until somebody asks for the connection', async (goodbye) => {
    const { server, edge, told } = await inRoom()
    server.socket.goodbye(goodbye)
    await vi.advanceTimersByTimeAsync(600_000)
    expect(told).toEqual(['signed in', 'ended'])
    expect(server.sockets).toHaveLength(1)
    edge.restart()
    await vi.advanceTimersByTimeAsync(soon)
    expect(told.at(-1)).toBe('signed in')
    expect(server.socket.all('signIn')[0]?.resume).toBeUndefined()
  })

  it('for a slow reader is resumed from where they were', async () => {
    const { server, told, failures } = await inRoom()
    server.socket.push(message(1))
    server.socket.goodbye({ reason: GoodbyeReason.SLOW_CONSUMER })
    await vi.advanceTimersByTimeAsync(soon)
    expect(told).toEqual(['signed in', 'cut', 'resumed'])
    expect(failures).toEqual([undefined])
    expect(server.socket.all('signIn')[0]?.resume?.received).toBe(1n)
  })

  it('of a full server says why', async () => {
    const { server, failures } = await inRoom()
    server.socket.goodbye({ reason: GoodbyeReason.FULL, reconnectMs: 1_000 })
    await vi.advanceTimersByTimeAsync(10)
    expect(failures[0]?.code).toBe(Code.ResourceExhausted)
    expect(errorReason(failures[0])).toBe('FULL')
  })

  it('for a bad frame does not bring the session back that it came from', async () => {
    const { server, told } = await inRoom()
    server.socket.goodbye({ reason: GoodbyeReason.BAD_FRAME })
    await vi.advanceTimersByTimeAsync(soon)
    expect(told).toEqual(['signed in', 'cut', 'signed in'])
  })

  it.each([GoodbyeReason.SESSION_REVOKED, GoodbyeReason.TOKEN_EXPIRED, GoodbyeReason.SIGN_IN_REFUSED])('of %s is answered by another token, at once', async (reason) => {
    const { server, accessToken, told } = await inRoom()
    server.socket.goodbye({ reason, reconnectMs: -1 })
    await vi.advanceTimersByTimeAsync(50)
    expect(accessToken).toHaveBeenCalledWith('token-1')
    expect(server.socket.all('signIn')[0]?.accessToken).toBe('token-2')
    expect(told[1]).toBe('cut')
    expect(told).toHaveLength(3)
  })

  it('of a refused token is answered by another one only once', async () => {
    const { server, tokens } = await inRoom()
    server.refusal = { reason: GoodbyeReason.SIGN_IN_REFUSED, error: { code: Code.Unauthenticated, reason: 'TOKEN_INVALID' } }
    server.socket.goodbye({ reason: GoodbyeReason.SESSION_REVOKED })
    await vi.advanceTimersByTimeAsync(120_000)
    expect(tokens.current).toBe(2)
    expect(server.sockets.length).toBeLessThan(20)
    server.refusal = undefined
    await vi.advanceTimersByTimeAsync(20_000)
    // It has held since then: another refusal may have another reason.
    server.socket.goodbye({ reason: GoodbyeReason.SESSION_REVOKED })
    await vi.advanceTimersByTimeAsync(50)
    expect(tokens.current).toBe(3)
  })

  it('of a sign-in that no token would help is waited out', async () => {
    const { server, tokens, failures } = await inRoom()
    server.refusal = {
      reason: GoodbyeReason.SIGN_IN_REFUSED,
      error: { code: Code.ResourceExhausted, reason: 'TOO_MANY_SESSIONS', metadata: { retry_after_ms: '4000' } },
    }
    server.socket.cut()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(tokens.current).toBe(1)
    expect(errorReason(failures.at(-1))).toBe('TOO_MANY_SESSIONS')
    const attempts = server.sockets.length
    await vi.advanceTimersByTimeAsync(2_900)
    expect(server.sockets).toHaveLength(attempts)
  })

  it('is heard behind frames that are still being unpacked', async () => {
    vi.useRealTimers()
    const { server, edge } = openTab()
    const ada = follower()
    edge.join('room', { unseen: false }, ada.listener)
    await vi.waitFor(() => expect(ada.told).toEqual(['signed in']))
    const packed = await pack({ kind: { case: 'push', value: { events: [{ kind: message(1) }] } } })
    server.socket.say({ case: 'packed', value: packed })
    server.socket.goodbye({ reason: GoodbyeReason.KICKED, reconnectMs: -1 })
    await vi.waitFor(() => expect(ada.told).toEqual(['signed in', 'ended']))
    expect(ada.events).toHaveLength(1)
  })
})

describe('a token', () => {
  it('that was renewed is brought to the connection before the old one expires', async () => {
    const { server, tokens } = await inRoom()
    tokens.current = 2
    await vi.advanceTimersByTimeAsync(60_000)
    expect(server.socket.all('renew')).toMatchObject([{ accessToken: 'token-2' }])
    expect(server.sockets).toHaveLength(1)
  })

  it('of somebody else begins the connection anew', async () => {
    const { server, edge, room, tokens, told } = await inRoom()
    const entering = room.enter().catch((error: unknown) => ConnectError.from(error).code)
    tokens.current = 9
    edge.restart()
    expect(await entering).toBe(Code.Unavailable)
    await vi.advanceTimersByTimeAsync(10)
    expect(server.sockets[0]?.closeCode).toBe(1000)
    expect(server.socket.all('signIn')).toMatchObject([{ accessToken: 'token-9' }])
    expect(server.socket.all('signIn')[0]?.resume).toBeUndefined()
    expect(told).toEqual(['signed in', 'cut', 'signed in'])
    expect(server.sockets).toHaveLength(2)
  })

  it('that cannot be had is asked for again', async () => {
    const { server, edge, accessToken } = openTab()
    accessToken.mockRejectedValueOnce(new ConnectError('away', Code.Unavailable))
    const ada = follower()
    edge.join('room', { unseen: false }, ada.listener)
    await vi.advanceTimersByTimeAsync(soon)
    expect(ada.told).toEqual(['cut', 'signed in'])
    expect(server.sockets).toHaveLength(1)
  })
})

describe('a call', () => {
  it('is answered, whatever comes before', async () => {
    const { server, edge } = await inRoom()
    const first = edge.call('/a.B/C', new Uint8Array([1]), { timeoutMs: 5_000 })
    const second = edge.call('/a.B/D', new Uint8Array([2]), { timeoutMs: 5_000 })
    await vi.advanceTimersByTimeAsync(10)
    const [c, d] = server.socket.heard.filter(({ kind }) => kind.case === 'call')
    expect(c?.kind.value).toMatchObject({ procedure: '/a.B/C', request: new Uint8Array([1]), timeoutMs: 5_000 })
    server.socket.say({ case: 'reply', value: { response: new Uint8Array([20]) } }, d?.id)
    server.socket.say({ case: 'reply', value: { response: new Uint8Array([10]) } }, c?.id)
    expect([...(await first), ...(await second)]).toEqual([10, 20])
  })

  it('is refused in the words of its contract', async () => {
    const { server, edge } = await inRoom()
    server.answer = () => ({ case: 'error', value: { code: Code.ResourceExhausted, reason: 'RATE_LIMITED', message: 'slowly', metadata: { retry_after_ms: '700' } } })
    const call = edge.call('/a.B/C', new Uint8Array(), { timeoutMs: 5_000 }).catch((failure: unknown) => ConnectError.from(failure))
    await vi.advanceTimersByTimeAsync(10)
    const error = await call
    expect(error).toMatchObject({ code: Code.ResourceExhausted, rawMessage: 'slowly' })
    expect([errorReason(error), retryAfterMs(error)]).toEqual(['RATE_LIMITED', 700])
  })

  it('fails when it is cut off, takes too long or is given up', async () => {
    const { server, edge } = await inRoom()
    const codeOf = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => ConnectError.from(error).code)
    const late = codeOf(edge.call('/a.B/C', new Uint8Array(), { timeoutMs: 500 }))
    const abort = new AbortController()
    const given = codeOf(edge.call('/a.B/C', new Uint8Array(), { timeoutMs: 5_000, signal: abort.signal }))
    const cut = codeOf(edge.call('/a.B/C', new Uint8Array(), { timeoutMs: 5_000 }))
    abort.abort()
    await vi.advanceTimersByTimeAsync(600)
    server.socket.cut()
    expect(await Promise.all([late, given, cut])).toEqual([Code.DeadlineExceeded, Code.Canceled, Code.Unavailable])
    expect(await codeOf(edge.call('/a.B/C', new Uint8Array(), { timeoutMs: 500 }))).toBe(Code.Unavailable)
  })

  it('is made only while there is room for it', async () => {
    const { server, edge } = openTab()
    server.signedIn = { maxCalls: 2, maxFrameBytes: 1_000, silenceMs: 60_000 }
    expect(edge.canCall(10)).toBe(false)
    edge.join('room', { unseen: false }, follower().listener)
    await vi.advanceTimersByTimeAsync(10)
    expect([edge.canCall(10), edge.canCall(1_000)]).toEqual([true, false])
    for (let i = 0; i < 2; i++) void edge.call('/a.B/C', new Uint8Array(), { timeoutMs: 500 }).catch(() => undefined)
    expect(edge.canCall(10)).toBe(false)
    await vi.advanceTimersByTimeAsync(600)
    expect(edge.canCall(10)).toBe(true)
  })
})
