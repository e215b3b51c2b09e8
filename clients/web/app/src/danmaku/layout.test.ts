import { describe, expect, it } from 'vitest'
import { areas, densities, layoutOf, sizes } from './layout'

const every = areas.flatMap((area) => sizes.flatMap((size) => densities.map((density) => ({ area, size, density }))))

describe('layoutOf', () => {
  it.each(every)('keeps lanes apart and inside the picture: $area, $size, $density', (choice) => {
    for (let height = 0; height <= 1_440; height += 7) {
      const { lanes, line, pitch } = layoutOf(height, choice)
      expect(pitch).toBeGreaterThanOrEqual(line)
      if (lanes > 0) expect((lanes - 1) * pitch + line).toBeLessThanOrEqual(height)
    }
  })

  it('gives every picture that is seen at least one lane', () => {
    for (const choice of every) expect(layoutOf(120, choice).lanes).toBeGreaterThan(0)
    expect(layoutOf(0, { area: 'full', size: 'small', density: 'high' }).lanes).toBe(0)
  })

  it('has more lanes for more area, smaller letters and higher density', () => {
    const lanes = (area: 'quarter' | 'full', size: 'small' | 'large', density: 'low' | 'high') => layoutOf(720, { area, size, density }).lanes
    expect(lanes('full', 'small', 'high')).toBeGreaterThan(lanes('quarter', 'small', 'high'))
    expect(lanes('full', 'small', 'high')).toBeGreaterThan(lanes('full', 'large', 'high'))
    expect(lanes('full', 'small', 'high')).toBeGreaterThan(lanes('full', 'small', 'low'))
  })
})
