import { describe, expect, it } from 'vitest'
import { safeNext } from './safeNext'

describe('safeNext', () => {
  it.each([
    ['/room/1?a=b', '/room/1?a=b'],
    ['//evil.example/', '/'],
    ['/\\evil.example/', '/'],
    ['https://evil.example/', '/'],
    ['javascript:alert(1)', '/'],
    ['/signin?next=/', '/'],
    [undefined, '/'],
    [['/a', '/b'], '/'],
  ])('leads from %j to %s', (next, wanted) => {
    expect(safeNext(next)).toBe(wanted)
  })
})
