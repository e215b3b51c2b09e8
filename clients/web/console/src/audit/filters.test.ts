import { timestampDate } from '@bufbuild/protobuf/wkt'
import { describe, expect, it } from 'vitest'
import { actions, auditFilter, dayStart } from './filters'

const local = (day: string, plus = 0): string | undefined => {
  const at = dayStart(day, plus)
  return at && timestampDate(at).toString()
}

describe('dayStart', () => {
  it('is midnight by the reader’s clock', () => {
    expect(local('2026-03-01')).toBe(new Date(2026, 2, 1).toString())
  })

  it('goes over the end of a month', () => {
    expect(local('2026-01-31', 1)).toBe(new Date(2026, 1, 1).toString())
  })

  it.each(['', 'soon', '2026-1-1', '2026-01-01T00:00'])('takes %j for no day', (day) => {
    expect(dayStart(day)).toBeUndefined()
  })
})

it('asks for both days whole', () => {
  const { since, until } = auditFilter({ actor: '', target: '', action: '', from: '2026-01-01', to: '2026-01-01' })
  expect(Number(until?.seconds) - Number(since?.seconds)).toBe(86_400)
})

it('knows the acts of the contract', () => {
  expect(actions).toEqual([
    'user.ban', 'user.unban', 'user.set_role', 'user.revoke_device', 'user.mute', 'user.unmute', 'broadcast.end', 'room.warn', 'room.take_down_cover', 'message.delete', 'site.update',
  ])
})
