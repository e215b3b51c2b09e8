import { describe, expect, it } from 'vitest'
import { MAX_WAITING, OWN_PATIENCE_MS, PATIENCE_MS, Waiting } from './waiting'

/** Who is served when there is room for everybody. */
function served(waiting: Waiting<string>, nowMs: number): string[] {
  const names: string[] = []
  waiting.serve(nowMs, (name) => names.push(name) > 0)
  return names
}

describe('Waiting', () => {
  it('serves in order of coming, its own people first', () => {
    const waiting = new Waiting<string>()
    waiting.add('a', false, 0)
    waiting.add('b', false, 1)
    waiting.add('mine', true, 2)
    expect(served(waiting, 3)).toEqual(['mine', 'a', 'b'])
    expect(waiting.isEmpty).toBe(true)
  })

  it('keeps those whom no place suited, for a moment only', () => {
    const waiting = new Waiting<string>()
    waiting.add('a', false, 0)
    waiting.add('mine', true, 0)
    waiting.serve(1, () => false)
    expect(waiting.size).toBe(2)
    expect(served(waiting, PATIENCE_MS)).toEqual(['mine'])
    waiting.add('mine', true, 0)
    expect(served(waiting, OWN_PATIENCE_MS)).toEqual([])
  })

  it('sends away who is named', () => {
    const waiting = new Waiting<string>()
    for (const name of ['a', 'b', 'c']) waiting.add(name, false, 0)
    waiting.dismiss((name) => name === 'b')
    expect(served(waiting, 1)).toEqual(['a', 'c'])
  })

  it('never holds more than it may, and lets strangers go first', () => {
    const waiting = new Waiting<string>()
    waiting.add('mine', true, 0)
    for (let i = 0; i < 1_000; i++) waiting.add(`${i}`, false, 0)
    expect(waiting.size).toBe(MAX_WAITING)
    const names = served(waiting, 1)
    expect(names[0]).toBe('mine')
    expect(names.at(-1)).toBe('999')
  })
})
