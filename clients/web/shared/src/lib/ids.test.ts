import { describe, expect, it } from 'vitest'

import { newId } from './ids'

describe('newId', () => {
  it('is a UUID of version 7 with the time in front', () => {
    // The example of RFC 9562, A.6: Tuesday, February 22, 2022 2:22:22.00 PM GMT-05:00.
    expect(newId(0x017f22e279b0)).toMatch(/^017f22e2-79b0-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })
  it('grows with time and is never the same', () => {
    const ids = Array.from({ length: 100 }, (_, i) => newId(1_700_000_000_000 + i))
    expect([...ids].sort()).toEqual(ids)
    expect(new Set(Array.from({ length: 100 }, () => newId(1))).size).toBe(100)
  })
})
