import { describe, expect, it } from 'vitest'
import { CROSS_MS, Lanes, leftEdge, type Crossing, type Shape } from './lanes'

/** Numbers that look random and are the same in every run. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below
  }
}

function lanesOf(crossings: Iterable<Crossing<number>>): Map<number, Crossing<number>[]> {
  const byLane = new Map<number, Crossing<number>[]>()
  for (const crossing of crossings) byLane.set(crossing.lane, [...(byLane.get(crossing.lane) ?? []), crossing])
  return byLane
}

/** The least distance between two messages of a lane at a time, of those in the picture; negative when they overlap. */
function leastDistance(crossings: Iterable<Crossing<number>>, width: number, atMs: number): number {
  let least = Infinity
  for (const lane of lanesOf(crossings).values()) {
    const here = lane
      .filter(({ startMs }) => atMs >= startMs && atMs < startMs + CROSS_MS)
      .map((crossing) => ({ left: leftEdge(crossing, width, atMs), width: crossing.width }))
      .sort((a, b) => a.left - b.left)
    here.forEach((one, i) => {
      const next = here[i + 1]
      if (next) least = Math.min(least, next.left - one.left - one.width)
    })
  }
  return least
}

const tolerance = -1e-6

describe('Lanes', () => {
  it.each(Array.from({ length: 40 }, (_, seed) => seed))('never lets two messages of a lane touch (seed %i)', (seed) => {
    const random = randomFrom(seed)
    const shape: Shape = { width: 200 + random(1_800), lanes: 1 + Math.floor(random(20)), gap: random(40) }
    const lanes = new Lanes<number>(shape)
    const all: Crossing<number>[] = []
    let nowMs = 0
    for (let i = 0; i < 3_000; i++) {
      nowMs += random(10)
      lanes.leave(nowMs)
      // From a single letter to far wider than the picture.
      if (lanes.place(10 + random(random(4) < 1 ? 4_000 : 400), nowMs, () => i)) {
        const placed = [...lanes.crossings()].find(({ item }) => item === i)
        if (placed) all.push(placed)
      }
    }
    expect(all.length).toBeGreaterThan(shape.lanes)
    for (let atMs = 0; atMs < nowMs + CROSS_MS; atMs += 37) {
      expect(leastDistance(all, shape.width, atMs)).toBeGreaterThanOrEqual(shape.gap + tolerance)
    }
  })

  it.each(Array.from({ length: 40 }, (_, seed) => seed))('stays so when the picture changes its size (seed %i)', (seed) => {
    const random = randomFrom(1_000 + seed)
    const shapeOf = (): Shape => ({ width: 150 + random(1_800), lanes: Math.floor(random(15)), gap: random(30) })
    let shape = shapeOf()
    const lanes = new Lanes<number>(shape)
    const onStage = new Set<number>()
    let nowMs = 0
    for (let i = 0; i < 1_500; i++) {
      nowMs += random(30)
      for (const { item } of lanes.leave(nowMs)) onStage.delete(item)
      if (random(60) < 1) {
        shape = shapeOf()
        for (const { item } of lanes.reshape(shape, nowMs)) onStage.delete(item)
      }
      if (lanes.place(10 + random(600), nowMs, () => i)) onStage.add(i)
      expect(leastDistance(lanes.crossings(), shape.width, nowMs)).toBeGreaterThanOrEqual(tolerance)
    }
    // What it gave back and what it still has is all there ever was: nothing drawn is lost sight of.
    expect(new Set([...lanes.crossings()].map(({ item }) => item))).toEqual(onStage)
  })

  it('begins at the right edge and is gone at the left', () => {
    const message = { width: 100, startMs: 500 }
    expect(leftEdge(message, 800, 500)).toBe(800)
    expect(leftEdge(message, 800, 500 + CROSS_MS)).toBe(-100)
  })

  it('fills from the top, and leaves out what finds no room', () => {
    const lanes = new Lanes<string>({ width: 800, lanes: 2, gap: 10 })
    const placed = ['a', 'b', 'c'].map((name) => lanes.place(200, 0, () => name))
    expect(placed).toEqual([true, true, false])
    expect([...lanes.crossings()].map(({ item, lane }) => [item, lane])).toEqual([['a', 0], ['b', 1]])
  })

  it('makes a message only when it has a place', () => {
    const lanes = new Lanes<string>({ width: 800, lanes: 0, gap: 0 })
    expect(lanes.place(100, 0, () => { throw new Error('made in vain') })).toBe(false)
  })

  it('keeps a wide message back until it cannot catch up with a narrow one', () => {
    const lanes = new Lanes<string>({ width: 800, lanes: 1, gap: 0 })
    lanes.place(20, 0, () => 'narrow')
    // Room for its head is there soon, but it would be faster.
    const entryMs = (20 / 820) * CROSS_MS
    expect(lanes.place(800, entryMs + 1, () => 'wide')).toBe(false)
    expect(lanes.place(20, entryMs + 1, () => 'narrow too')).toBe(true)
  })

  it('may give a short message no more than a long one', () => {
    const lanes = new Lanes<string>({ width: 800, lanes: 1, gap: 0 })
    lanes.place(20, 0, () => 'first')
    const entryMs = (20 / 820) * CROSS_MS
    expect(lanes.place(20, entryMs + 1, () => 'hasty', 400)).toBe(false)
    expect(lanes.place(20, CROSS_MS / 2, () => 'in turn', 400)).toBe(true)
  })

  it('lets messages go when they have crossed', () => {
    const lanes = new Lanes<string>({ width: 800, lanes: 1, gap: 0 })
    lanes.place(100, 0, () => 'a')
    expect(lanes.leave(CROSS_MS - 1)).toEqual([])
    expect(lanes.leave(CROSS_MS).map(({ item }) => item)).toEqual(['a'])
    expect(lanes.isEmpty).toBe(true)
  })

  it('takes out a message on its way, and gives its room to the next', () => {
    const lanes = new Lanes<string>({ width: 800, lanes: 1, gap: 0 })
    lanes.place(400, 0, () => 'a')
    expect(lanes.place(400, 1, () => 'b')).toBe(false)
    expect(lanes.takeOut((item) => item === 'a').map(({ item }) => item)).toEqual(['a'])
    expect(lanes.takeOut((item) => item === 'a')).toEqual([])
    expect(lanes.isEmpty).toBe(true)
    expect(lanes.place(400, 1, () => 'b')).toBe(true)
  })
})
