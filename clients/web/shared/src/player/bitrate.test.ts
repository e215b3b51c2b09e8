import { describe, expect, it } from 'vitest'
import { BitrateMeter } from './bitrate'

describe('BitrateMeter', () => {
  it('says nothing before it has heard enough', () => {
    const meter = new BitrateMeter()
    expect(meter.bps).toBeUndefined()
    meter.add(5_000, 0)
    meter.add(5_000, 500)
    expect(meter.bps).toBeUndefined()
  })

  it('averages uneven pieces', () => {
    const meter = new BitrateMeter()
    // A keyframe of 90 kB every two seconds and 10 kB otherwise, every half a second: 60 kB a second.
    for (let i = 0; i <= 40; i++) meter.add(i % 4 === 0 ? 90_000 : 10_000, i * 500)
    expect(meter.bps).toBe(60_000 * 8)
  })

  it('forgets what is long ago', () => {
    const meter = new BitrateMeter()
    for (let i = 0; i <= 20; i++) meter.add(100_000, i * 500)
    for (let i = 21; i <= 40; i++) meter.add(0, i * 500)
    expect(meter.bps).toBe(0)
  })
})
