import { describe, expect, it } from 'vitest'
import { MIN_OPACITY, parseChoice } from './settings'

describe('parseChoice', () => {
  const initial = { opacity: 0.9, size: 'medium', area: 'half', density: 'medium' }

  it.each([
    ['nothing', null],
    ['damage', '{"on":'],
    ['another thing', '[1,2]'],
    ['null', 'null'],
    ['wrong kinds', '{"on":"yes","opacity":"1","size":3,"area":"all","density":null}'],
  ])('has a first choice where it finds %s', (_name, stored) => expect(parseChoice(stored)).toEqual(initial))

  it('takes what was remembered', () => {
    const choice = { on: false, opacity: 0.5, size: 'large', area: 'full', density: 'low' }
    expect(parseChoice(JSON.stringify(choice))).toEqual(choice)
  })

  it('keeps messages visible', () => {
    expect(parseChoice('{"opacity":0}').opacity).toBe(MIN_OPACITY)
    expect(parseChoice('{"opacity":9}').opacity).toBe(1)
  })
})
