import { describe, expect, it } from 'vitest'
import { actionOf, actions, keyNames } from './shortcuts'

const press = (key: string, more = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, isComposing: false, defaultPrevented: false, ...more })

describe('actionOf', () => {
  it.each([
    ['m', 'mute'],
    ['M', 'mute'],
    ['f', 'full'],
    ['t', 'theatre'],
    ['i', 'pip'],
    ['d', 'danmaku'],
    ['?', 'stats'],
    ['ArrowUp', 'volume'],
    ['ArrowDown', 'volume'],
    ['x', undefined],
    ['Enter', undefined],
  ])('knows %s as %s', (key, action) => expect(actionOf(press(key))).toBe(action))

  it.each(['ctrlKey', 'metaKey', 'altKey', 'isComposing', 'defaultPrevented'])('leaves keys alone with %s', (flag) => {
    expect(actionOf(press('f', { [flag]: true }))).toBeUndefined()
  })

  it('has a name on the key for each action', () => {
    for (const action of actions) expect(keyNames[action]).not.toBe('')
  })
})
