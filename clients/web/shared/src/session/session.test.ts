import { create } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { Code, ConnectError, createClient, createRouterTransport } from '@connectrpc/connect'
import { ErrorInfoSchema } from '@gen/google/rpc/error_details_pb'
import { Role, UserSchema } from '@gen/stoa/auth/v1/auth_pb'
import { AuthService } from '@gen/stoa/auth/v1/auth_service_pb'
import { describe, expect, it } from 'vitest'
import { sleep } from '../lib/sleep'
import { leaseLock } from './lock'
import { loadRecord, recordOf, saveRecord, scopedStore, SESSION_KEY, type KeyValueStore } from './record'
import { createSession, type Session, type SessionDeps } from './session'

function memoryStore(): KeyValueStore {
  const values = new Map<string, string>()
  return {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: (key) => void values.delete(key),
  }
}

const refusal = (code: Code, reason: string): ConnectError =>
  new ConnectError('refused', code, undefined, [{ desc: ErrorInfoSchema, value: { reason, domain: 'stoa' } }])

/** A server whose refresh tokens work once, as the real one's do after a moment; using one twice ends the session. */
function fakeServer() {
  const calls: string[] = []
  const devices = new Set<string>()
  const clock = { nowMs: 1_000_000 }
  let issued = 0
  let beforeRefusal = (): void => undefined
  let current = ''
  let down = false
  let ban: ConnectError | undefined

  function grant(role: Role, name: string) {
    issued++
    current = `refresh-${issued}`
    const user = create(UserSchema, { id: name, nickname: name, role })
    const expiresAt = timestampFromMs(clock.nowMs + 600_000)
    return { user, accessToken: `access-${issued}`, refreshToken: current, expiresAt }
  }
  function known(deviceId: string): void {
    if (!devices.has(deviceId)) throw refusal(Code.NotFound, 'DEVICE_NOT_FOUND')
  }

  const transport = createRouterTransport(({ service }) => {
    service(AuthService, {
      registerDevice() {
        calls.push('register')
        const deviceId = `device-${devices.size + 1}`
        devices.add(deviceId)
        return { deviceId }
      },
      signInAsGuest({ deviceId }) {
        calls.push('guest')
        known(deviceId)
        return grant(Role.GUEST, `guest of ${deviceId}`)
      },
      signIn({ deviceId, username, password }) {
        calls.push('signIn')
        known(deviceId)
        if (password !== 'right') throw refusal(Code.Unauthenticated, 'WRONG_CREDENTIALS')
        return grant(Role.USER, username)
      },
      createFirstAdmin({ deviceId, setupToken, username }) {
        calls.push('createFirstAdmin')
        known(deviceId)
        if (setupToken !== 'printed') throw refusal(Code.PermissionDenied, 'SETUP_TOKEN_INVALID')
        return grant(Role.ADMIN, username)
      },
      async refreshToken({ refreshToken }) {
        calls.push('refresh')
        if (down) throw new ConnectError('away', Code.Unavailable)
        await sleep(5)
        if (ban) throw ban
        if (refreshToken !== current) {
          beforeRefusal()
          throw refusal(Code.Unauthenticated, 'REFRESH_TOKEN_REUSED')
        }
        return grant(Role.USER, 'ada')
      },
    })
  })
  return {
    calls,
    clock,
    devices,
    auth: createClient(AuthService, transport),
    revoke: () => (current = ''),
    grant,
    onRefusal: (act: () => void) => (beforeRefusal = act),
    ban: (metadata?: Record<string, string>) =>
      (ban = metadata && new ConnectError('banned', Code.PermissionDenied, undefined, [{ desc: ErrorInfoSchema, value: { reason: 'BANNED', domain: 'stoa', metadata } }])),
    setDown: (value: boolean) => (down = value),
  }
}

type Server = ReturnType<typeof fakeServer>

/** One tab: its own session over the browser's shared storage, with the lock of pages on plain http. */
const tab = (server: Server, store: KeyValueStore, options: Partial<SessionDeps> = {}): Session =>
  createSession({
    auth: server.auth,
    store,
    lock: leaseLock(store, { settleMs: 2, page: new EventTarget() }),
    device: { model: 'test', appVersion: '0' },
    now: () => server.clock.nowMs,
    ...options,
  })

describe('a session', () => {
  it('begins as a guest of a new device, once for all tabs', async () => {
    const server = fakeServer()
    const store = memoryStore()
    const tabs = [1, 2, 3, 4].map(() => tab(server, store))
    const tokens = await Promise.all(tabs.map((each) => each.accessToken()))
    expect(new Set(tokens)).toEqual(new Set(['access-1']))
    expect(server.calls).toEqual(['register', 'guest'])
    expect(tabs[0]?.isSignedIn.value).toBe(false)
  })

  it('refreshes an old token once, however many callers and tabs ask', async () => {
    const server = fakeServer()
    const store = memoryStore()
    const tabs = [1, 2, 3, 4].map(() => tab(server, store))
    await tabs[0]?.signIn('ada', 'right')
    server.calls.length = 0
    server.clock.nowMs += 550_000
    const tokens = await Promise.all(tabs.flatMap((each) => [each.accessToken(), each.accessToken()]))
    expect(new Set(tokens)).toEqual(new Set(['access-2']))
    expect(server.calls).toEqual(['refresh'])
    expect(tabs.map((each) => each.isSignedIn.value)).toEqual([true, true, true, true])
  })

  it('renews a refused token once, and gives the new one to those who come late', async () => {
    const server = fakeServer()
    const store = memoryStore()
    const [first, second] = [tab(server, store), tab(server, store)]
    await first.signIn('ada', 'right')
    server.calls.length = 0
    expect(await first.accessToken('access-1')).toBe('access-2')
    expect(await second.accessToken('access-1')).toBe('access-2')
    expect(server.calls).toEqual(['refresh'])
  })

  it('goes on as a guest of the same device when its session was revoked', async () => {
    const server = fakeServer()
    const session = tab(server, memoryStore())
    await session.signIn('ada', 'right')
    server.revoke()
    server.calls.length = 0
    await session.accessToken('access-1')
    expect(server.calls).toEqual(['refresh', 'guest'])
    expect(session.user.value?.id).toBe('guest of device-1')
    expect(session.isSignedIn.value).toBe(false)
  })

  it('says in every tab that a user\'s session has ended, until somebody signs in', async () => {
    const server = fakeServer()
    const store = memoryStore()
    const [first, second] = [tab(server, store), tab(server, store)]
    await first.signIn('ada', 'right')
    server.revoke()
    await first.accessToken('access-1')
    second.reload()
    expect([first.hasEnded.value, second.hasEnded.value]).toEqual([true, true])
    expect(tab(server, store).hasEnded.value, 'after a reload').toBe(true)
    server.revoke()
    await first.accessToken('access-2')
    expect(first.hasEnded.value, 'when the guest\'s session has ended, too').toBe(true)
    await first.signIn('ada', 'right')
    second.reload()
    expect([first.hasEnded.value, second.hasEnded.value]).toEqual([false, false])
  })

  it('says it no longer to those who waved it off or signed out themselves', async () => {
    const server = fakeServer()
    const session = tab(server, memoryStore())
    await session.signIn('ada', 'right')
    server.revoke()
    const token = await session.accessToken('access-1')
    await session.acceptEnd()
    expect(session.hasEnded.value).toBe(false)
    expect(await session.accessToken(), 'the guest stays').toBe(token)
    await session.signIn('ada', 'right')
    await session.signOut(() => Promise.resolve())
    expect(session.hasEnded.value).toBe(false)
  })

  it('remembers the ban that ended it, until somebody signs in or waves it off', async () => {
    const server = fakeServer()
    const store = memoryStore()
    const session = tab(server, store)
    const until = '2030-05-01T12:00:00Z'
    await session.signIn('ada', 'right')
    server.ban({ ban_reason: 'Spam', ban_until: until })
    const token = await session.accessToken('access-1')
    const ban = { reason: 'Spam', untilMs: Date.parse(until) }
    expect([session.hasEnded.value, session.ban.value]).toEqual([true, ban])
    expect(tab(server, store).ban.value, 'after a reload').toEqual(ban)
    server.ban()
    await session.accessToken(token)
    expect(session.ban.value, 'when the guest\'s token was renewed').toEqual(ban)
    await session.acceptEnd()
    expect(session.ban.value).toBeUndefined()
  })

  it('says nothing to guests whose session has ended', async () => {
    const server = fakeServer()
    const session = tab(server, memoryStore())
    await session.accessToken()
    server.revoke()
    server.calls.length = 0
    await session.accessToken('access-1')
    expect(server.calls).toEqual(['refresh', 'guest'])
    expect(session.hasEnded.value).toBe(false)
  })

  it.each([
    ['sends the pair', 600_000, 'access-2', ['refresh']],
    ['renews the pair', 0, 'access-3', ['refresh', 'refresh']],
  ])('%s that another tab wrote while its own token was refused', async (_name, lifeMs, token, calls) => {
    const server = fakeServer()
    const store = memoryStore()
    const session = tab(server, store)
    await session.signIn('ada', 'right')
    server.revoke()
    server.onRefusal(() => {
      const theirs = recordOf('device-1', server.grant(Role.USER, 'ada'), server.clock.nowMs)
      saveRecord(store, { ...theirs, freshUntilMs: server.clock.nowMs + lifeMs })
    })
    server.calls.length = 0
    expect(await session.accessToken('access-1')).toBe(token)
    expect(server.calls).toEqual(calls)
    expect([session.isSignedIn.value, session.hasEnded.value]).toEqual([true, false])
  })

  it('stays signed in while the server is away', async () => {
    const server = fakeServer()
    const session = tab(server, memoryStore())
    await session.signIn('ada', 'right')
    server.clock.nowMs += 550_000
    server.setDown(true)
    await expect(session.accessToken()).rejects.toThrow('away')
    expect(session.user.value?.id).toBe('ada')
    server.setDown(false)
    expect(await session.accessToken()).toBe('access-2')
  })

  it('registers anew when the server forgot the device', async () => {
    const server = fakeServer()
    const session = tab(server, memoryStore())
    await session.accessToken()
    server.devices.clear()
    await session.signIn('ada', 'right')
    expect(server.calls.slice(2)).toEqual(['signIn', 'register', 'signIn'])
    expect(session.isSignedIn.value).toBe(true)
  })

  it('keeps who is signed in when a password is wrong', async () => {
    const server = fakeServer()
    const session = tab(server, memoryStore())
    await session.accessToken()
    await expect(session.signIn('ada', 'wrong')).rejects.toThrow('refused')
    expect(session.user.value?.id).toBe('guest of device-1')
  })

  it('is a guest after signing out', async () => {
    const server = fakeServer()
    const session = tab(server, memoryStore())
    await session.signIn('ada', 'right')
    await session.signOut(() => Promise.resolve())
    expect(session.isSignedIn.value).toBe(false)
  })
})

describe('a session without guests', () => {
  const staff = (server: Server, store: KeyValueStore): Session => tab(server, store, { guests: false })

  it('has no token until somebody signs in, and makes no device for nobody', async () => {
    const server = fakeServer()
    const session = staff(server, memoryStore())
    await expect(session.accessToken()).rejects.toMatchObject({ code: Code.Unauthenticated })
    expect(server.calls).toEqual([])
    expect([session.user.value, session.isSignedIn.value]).toEqual([undefined, false])
    await session.signIn('ada', 'right')
    expect(await session.accessToken()).toBe('access-1')
    expect(server.calls).toEqual(['register', 'signIn'])
  })

  it('is nobody\'s after signing out, in every tab', async () => {
    const server = fakeServer()
    const store = memoryStore()
    const [first, second] = [staff(server, store), staff(server, store)]
    await first.signIn('ada', 'right')
    second.reload()
    expect(second.isSignedIn.value).toBe(true)
    await first.signOut(() => Promise.resolve())
    second.reload()
    expect([first.user.value, second.user.value]).toEqual([undefined, undefined])
    expect(loadRecord(store)).toBeUndefined()
    expect(server.calls).not.toContain('guest')
  })

  it('is nobody\'s when it was revoked', async () => {
    const server = fakeServer()
    const session = staff(server, memoryStore())
    await session.signIn('ada', 'right')
    server.revoke()
    server.calls.length = 0
    await expect(session.accessToken('access-1')).rejects.toMatchObject({ code: Code.Unauthenticated })
    expect(server.calls).toEqual(['refresh'])
    expect(session.isSignedIn.value).toBe(false)
  })
})

describe('the first administrator', () => {
  it('is signed in by the printed link', async () => {
    const server = fakeServer()
    const session = tab(server, memoryStore(), { guests: false })
    await session.createFirstAdmin('printed', 'root', 'password', '')
    expect(server.calls).toEqual(['register', 'createFirstAdmin'])
    expect(session.user.value).toMatchObject({ id: 'root', role: Role.ADMIN })
    expect(await session.accessToken()).toBe('access-1')
  })

  it('is nobody by another link', async () => {
    const server = fakeServer()
    const session = tab(server, memoryStore(), { guests: false })
    await expect(session.createFirstAdmin('guessed', 'root', 'password', '')).rejects.toThrow('refused')
    expect(session.isSignedIn.value).toBe(false)
  })
})

describe('a scoped session', () => {
  it('knows nothing of the other on the same origin', async () => {
    const server = fakeServer()
    const store = memoryStore()
    const app = tab(server, store)
    const consoleStore = scopedStore(store, 'console.')
    const console_ = tab(server, consoleStore, { guests: false })
    await app.signIn('ada', 'right')
    console_.reload()
    expect(console_.isSignedIn.value).toBe(false)
    await console_.signIn('root', 'right')
    app.reload()
    expect([app.user.value?.id, console_.user.value?.id]).toEqual(['ada', 'root'])
    expect(store.getItem(`console.${SESSION_KEY}`)).not.toBeNull()
    await console_.signOut(() => Promise.resolve())
    app.reload()
    expect(app.isSignedIn.value, 'signing out of one leaves the other').toBe(true)
  })
})

describe('setUser', () => {
  it('takes over a change in every tab, and keeps the tokens', async () => {
    const server = fakeServer()
    const store = memoryStore()
    const [first, second] = [tab(server, store), tab(server, store)]
    await first.signIn('ada', 'right')
    await first.setUser(create(UserSchema, { id: 'ada', nickname: 'Countess', role: Role.USER }))
    second.reload()
    expect([first.user.value?.nickname, second.user.value?.nickname]).toEqual(['Countess', 'Countess'])
    expect(await second.accessToken()).toBe('access-1')
  })

  it('ignores an answer about somebody who has signed out meanwhile', async () => {
    const server = fakeServer()
    const session = tab(server, memoryStore())
    await session.signIn('ada', 'right')
    await session.signOut(() => Promise.resolve())
    await session.setUser(create(UserSchema, { id: 'ada', nickname: 'Countess', role: Role.USER }))
    expect(session.user.value?.id).toBe('guest of device-1')
  })
})
