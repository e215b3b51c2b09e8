import { expect, it } from 'vitest'
import { ago } from './ago'

const now = Date.UTC(2026, 4, 1, 12)
const hour = 3_600_000

it.each([
  [5_000, '1 minute ago'],
  [59 * 60_000, '59 minutes ago'],
  [3.9 * hour, '3 hours ago'],
  [30 * hour, 'yesterday'],
  [40 * 24 * hour, 'last month'],
  [-hour, '1 minute ago'],
])('says how long %d ms are ago', (before, words) => {
  expect(ago(now - before, 'en', now)).toBe(words)
})

it('says it in Chinese', () => {
  expect(ago(now - 3 * hour, 'zh', now)).toBe('3小时前')
})
