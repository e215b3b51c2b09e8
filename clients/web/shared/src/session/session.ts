import { Code, ConnectError, type Client } from '@connectrpc/connect'
import { Platform, Role, type User } from '@gen/stoa/auth/v1/auth_pb'
import type { AuthService } from '@gen/stoa/auth/v1/auth_service_pb'
import { computed, shallowRef, type ComputedRef } from 'vue'
import { errorReason, sanctionOf, type Sanction } from '../api/errors'
import type { TabLock } from './lock'
import { loadRecord, recordOf, saveRecord, SESSION_KEY, type Grant, type KeyValueStore, type SessionEnd, type SessionRecord } from './record'

export interface SessionDeps {
  /** Calls without a token: what makes and renews tokens. */
  auth: Client<typeof AuthService>
  store: KeyValueStore
  lock: TabLock
  device: { model: string; appVersion: string }
  now?: () => number
  /** Whether a browser without a session goes on as a guest. Without, it has no token until somebody signs in. */
  guests?: boolean
}

export interface Session {
  /** Who this browser is; undefined until the first call needed to know. */
  user: ComputedRef<User | undefined>
  /** True for people with an account, false for guests. */
  isSignedIn: ComputedRef<boolean>
  /** True while this browser is a guest only because the server ended its user's session. */
  hasEnded: ComputedRef<boolean>
  /** Why and until when, where it was a ban that ended it. */
  ban: ComputedRef<Sanction | undefined>
  /**
   * An access token to send, renewed when it is old or is the `refused` one. However many callers and tabs ask, one
   * refresh happens: a refresh token works once (and again for moments, for those whom the answer did not reach), and
   * using it twice ends the session.
   */
  accessToken(refused?: string): Promise<string>
  signIn(username: string, password: string): Promise<void>
  signUp(username: string, password: string, nickname: string): Promise<void>
  /** Makes the first administrator with the token of the printed link, and signs in as it. */
  createFirstAdmin(setupToken: string, username: string, password: string, nickname: string): Promise<void>
  /** Takes over what the server answered about the user. */
  setUser(user: User): Promise<void>
  /** Ends the session here and on the server, and goes on as a guest. */
  signOut(revoke: () => Promise<unknown>): Promise<void>
  /** Goes on as a guest who knows that the session has ended. */
  acceptEnd(): Promise<void>
  /** Takes over what another tab wrote. */
  reload(): void
}

export function createSession({ auth, store, lock, device, now = Date.now, guests = true }: SessionDeps): Session {
  const record = shallowRef(loadRecord(store))
  let renewal: Promise<string> | undefined

  function write(next: SessionRecord): SessionRecord {
    saveRecord(store, next)
    record.value = next
    return next
  }

  function keep(deviceId: string, grant: Grant, end: SessionEnd = {}): SessionRecord {
    return write({ ...recordOf(deviceId, grant, now()), ended: end.ended ?? false, ban: end.ban })
  }

  /** The stored record, when its token may be sent. */
  function usable(refused?: string): SessionRecord | undefined {
    const stored = loadRecord(store)
    if (stored?.accessToken !== record.value?.accessToken) record.value = stored
    return stored && stored.accessToken !== refused && stored.freshUntilMs > now() ? stored : undefined
  }

  /** Runs a sign-in with this browser's device, registering it when it is new or the server no longer knows it. */
  async function withDevice(signIn: (deviceId: string) => Promise<Grant>, end?: SessionEnd): Promise<SessionRecord> {
    const known = loadRecord(store)?.deviceId
    if (known) {
      try {
        return keep(known, await signIn(known), end)
      } catch (error) {
        if (errorReason(error) !== 'DEVICE_NOT_FOUND') throw error
      }
    }
    const { deviceId } = await auth.registerDevice({ platform: Platform.WEB, ...device })
    return keep(deviceId, await signIn(deviceId), end)
  }

  /** What there is without an account: a guest, or nobody. */
  async function withoutAccount(end?: SessionEnd): Promise<SessionRecord | undefined> {
    if (guests) return withDevice((deviceId) => auth.signInAsGuest({ deviceId }), end)
    store.removeItem(SESSION_KEY)
    record.value = undefined
    return undefined
  }

  async function renew(refused?: string): Promise<string> {
    let tried: SessionRecord | undefined
    let ban: Sanction | undefined
    for (;;) {
      // Another tab may have renewed it while this one waited: for its turn, or for an answer that was a refusal.
      const renewed = usable(refused)
      if (renewed) return renewed.accessToken
      const stored = loadRecord(store)
      if (!stored?.refreshToken || stored.refreshToken === tried?.refreshToken) break
      tried = stored
      try {
        const grant = await auth.refreshToken({ refreshToken: stored.refreshToken })
        return keep(stored.deviceId, grant, stored).accessToken
      } catch (error) {
        if (!isRefusal(error)) throw error
        ban = errorReason(error) === 'BANNED' ? sanctionOf(error) : undefined
      }
    }
    const next = await withoutAccount(isAccount(tried) ? { ended: true, ban } : tried)
    if (!next) throw new ConnectError('sign in first', Code.Unauthenticated)
    return next.accessToken
  }

  return {
    user: computed(() => record.value?.user),
    isSignedIn: computed(() => isAccount(record.value)),
    hasEnded: computed(() => record.value?.ended ?? false),
    ban: computed(() => (record.value?.ended ? record.value.ban : undefined)),
    async accessToken(refused) {
      const current = usable(refused)
      if (current) return current.accessToken
      renewal ??= lock(() => renew(refused)).finally(() => (renewal = undefined))
      return renewal
    },
    async signIn(username, password) {
      await lock(() => withDevice((deviceId) => auth.signIn({ deviceId, username, password })))
    },
    async signUp(username, password, nickname) {
      await lock(() => withDevice((deviceId) => auth.signUp({ deviceId, username, password, nickname })))
    },
    async createFirstAdmin(setupToken, username, password, nickname) {
      await lock(() =>
        withDevice((deviceId) => auth.createFirstAdmin({ setupToken, deviceId, username, password, nickname })),
      )
    },
    async setUser(user) {
      // In its turn: a record written over another tab's would bring back a used refresh token.
      await lock(() => {
        const stored = loadRecord(store)
        if (stored?.user.id === user.id) write({ ...stored, user })
        return Promise.resolve()
      })
    },
    async signOut(revoke) {
      try {
        await revoke()
      } catch (error) {
        // A session that is already over needs no ending.
        if (!isRefusal(error)) throw error
      }
      await lock(() => withoutAccount())
    },
    async acceptEnd() {
      await lock(() => {
        const stored = loadRecord(store)
        if (stored) write({ ...stored, ended: false, ban: undefined })
        return Promise.resolve()
      })
    },
    reload() {
      record.value = loadRecord(store)
    },
  }
}

/** True for the record of a person with an account. */
function isAccount(record: SessionRecord | undefined): boolean {
  return (record?.user.role ?? Role.GUEST) >= Role.USER
}

/** True when the server said no, as opposed to not being reached. */
function isRefusal(error: unknown): boolean {
  const { code } = ConnectError.from(error)
  return [Code.Unauthenticated, Code.PermissionDenied, Code.NotFound, Code.InvalidArgument].includes(code)
}
