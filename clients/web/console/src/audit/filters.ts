import { timestampFromMs, type Timestamp } from '@bufbuild/protobuf/wkt'

/** The acts of the log in the order to choose from: a group, and what belongs to it. */
export const groups = {
  user: ['ban', 'unban', 'set_role', 'revoke_device', 'mute', 'unmute'],
  broadcast: ['end'],
  room: ['warn', 'take_down_cover'],
  message: ['delete'],
  site: ['update'],
} as const

export type Group = keyof typeof groups

export const actions = Object.entries(groups).flatMap(([group, acts]) => acts.map((act) => `${group}.${act}`))

/** The start of a day that is written "2026-01-31", by the reader's clock; undefined where it is no day. `plus` days later. */
export function dayStart(day: string, plus = 0): Timestamp | undefined {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(day)
  if (!match) return undefined
  const [year, month, date] = match.slice(1).map(Number) as [number, number, number]
  const at = new Date(year, month - 1, date + plus)
  return Number.isNaN(at.getTime()) ? undefined : timestampFromMs(at.getTime())
}

export interface AuditValues {
  actor: string
  target: string
  action: string
  from: string
  to: string
}

/** What to ask the server for. Both days are part of the span. */
export function auditFilter({ actor, target, action, from, to }: AuditValues) {
  return { actorId: actor, targetId: target, action, since: dayStart(from), until: dayStart(to, 1) }
}
