import { describe, expect, it } from 'vitest'
import { ago } from './ago'

const now = Date.UTC(2026, 0, 31, 12)

describe('ago', () => {
  it.each([
    [0, 'now', '现在'],
    [-5_000, 'now', '现在'],
    [90_000, '1 minute ago', '1分钟前'],
    [3 * 3_600_000, '3 hours ago', '3小时前'],
    [26 * 3_600_000, 'yesterday', '昨天'],
    [400 * 24 * 3_600_000, 'last year', '去年'],
  ])('tells of %d ms', (past, en, zh) => {
    expect([ago(now - past, now, 'en'), ago(now - past, now, 'zh')]).toEqual([en, zh])
  })
})
