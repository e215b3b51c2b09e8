import { timestampMs } from '@bufbuild/protobuf/wkt'
import { expect, it } from 'vitest'
import { endOf, type Span } from './until'

const now = Date.UTC(2026, 0, 1)

it.each<[Span, number]>([
  ['tenMinutes', 600_000],
  ['hour', 3_600_000],
  ['day', 86_400_000],
  ['week', 7 * 86_400_000],
  ['month', 30 * 86_400_000],
])('ends %s from now', (span, ms) => {
  const end = endOf(span, null, now)
  expect(end && timestampMs(end)).toBe(now + ms)
})

it('never ends what is for ever', () => {
  expect(endOf('ever', null, now)).toBeUndefined()
})

it.each([
  ['nothing chosen', null],
  ['a time that is past', new Date(now - 1)],
  ['this moment', new Date(now)],
  ['no time at all', new Date(Number.NaN)],
])('takes no end from %s', (_name, chosen) => {
  expect(endOf('custom', chosen, now)).toBeNull()
})

it('takes a time to come', () => {
  const end = endOf('custom', new Date(now + 5_000), now)
  expect(end && timestampMs(end)).toBe(now + 5_000)
})
