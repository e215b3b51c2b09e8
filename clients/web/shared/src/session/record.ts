import { fromJson, toJson, type JsonValue } from '@bufbuild/protobuf'
import { timestampMs, type Timestamp } from '@bufbuild/protobuf/wkt'
import { UserSchema, type User } from '@gen/stoa/auth/v1/auth_pb'
import type { Sanction } from '../api/errors'

/** What a browser remembers of its session; shared by all its tabs. */
export interface SessionRecord {
  deviceId: string
  user: User
  accessToken: string
  refreshToken: string
  /** Until when the access token is used without a refresh, by this machine's clock, ms since 1970. */
  freshUntilMs: number
  /** True for the guest that goes on after a user's session was ended by others, until somebody signs in or waves it off. */
  ended?: boolean
  /** The ban that ended it, where it was one. */
  ban?: Sanction
}

/** How the session before ended, for those who go on as a guest. */
export type SessionEnd = Pick<SessionRecord, 'ended' | 'ban'>

/** What every sign-in and refresh answers. */
export interface Grant {
  user?: User
  accessToken: string
  refreshToken: string
  expiresAt?: Timestamp
}

/** The part of Storage that a session needs. */
export type KeyValueStore = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>

export const SESSION_KEY = 'stoa.session'

const minFreshMs = 60_000
const maxFreshMs = 60 * 60_000

/**
 * Makes the record of a grant. The token is renewed after 80 % of its life; the bounds keep a clock that is hours off
 * from refreshing at every call or never (a refused token is renewed in any case).
 */
export function recordOf(deviceId: string, grant: Grant, nowMs: number): SessionRecord {
  if (!grant.user) throw new Error('a grant without a user')
  const lifeMs = grant.expiresAt ? timestampMs(grant.expiresAt) - nowMs : 0
  return {
    deviceId,
    user: grant.user,
    accessToken: grant.accessToken,
    refreshToken: grant.refreshToken,
    freshUntilMs: nowMs + Math.min(maxFreshMs, Math.max(minFreshMs, lifeMs * 0.8)),
  }
}

/** Reads the record; undefined when there is none or it is not readable. */
export function loadRecord(store: KeyValueStore): SessionRecord | undefined {
  try {
    const text = store.getItem(SESSION_KEY)
    if (!text) return undefined
    const { user, ...rest } = JSON.parse(text) as Omit<SessionRecord, 'user'> & { user: JsonValue }
    return { ...rest, user: fromJson(UserSchema, user, { ignoreUnknownFields: true }) }
  } catch {
    return undefined
  }
}

/** Writes the record for this and every other tab. */
export function saveRecord(store: KeyValueStore, record: SessionRecord): void {
  store.setItem(SESSION_KEY, JSON.stringify({ ...record, user: toJson(UserSchema, record.user) }))
}

/** localStorage, or memory where the browser refuses it (then each tab is a guest of its own). */
export function browserStore(): KeyValueStore {
  try {
    const probe = `${SESSION_KEY}.probe`
    localStorage.setItem(probe, '1')
    localStorage.removeItem(probe)
    return localStorage
  } catch {
    const values = new Map<string, string>()
    return {
      getItem: (key) => values.get(key) ?? null,
      setItem: (key, value) => void values.set(key, value),
      removeItem: (key) => void values.delete(key),
    }
  }
}

/** A part of a store in which every key begins with `scope`. */
export function scopedStore(store: KeyValueStore, scope: string): KeyValueStore {
  return {
    getItem: (key) => store.getItem(scope + key),
    setItem: (key, value) => store.setItem(scope + key, value),
    removeItem: (key) => store.removeItem(scope + key),
  }
}
