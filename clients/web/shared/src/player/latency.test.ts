import { describe, expect, it } from 'vitest'
import { decide, DEFAULT_CUSHION, type PlayerView } from './latency'

const view = (given: Partial<PlayerView>): PlayerView => ({
  currentTime: 0,
  buffered: [],
  playbackRate: 1,
  starting: false,
  cushion: DEFAULT_CUSHION,
  ...given,
})
const upTo = (end: number, start = 0): PlayerView['buffered'] => [{ start, end }]

describe('decide', () => {
  it('waits while nothing is buffered', () => {
    expect(decide(view({ starting: true }))).toEqual({ kind: 'keep' })
  })

  it('jumps over the burst since a keyframe 8 s ago', () => {
    const decision = decide(view({ starting: true, buffered: upTo(7.8) }))
    expect(decision).toEqual({ kind: 'seek', to: 7.8 - DEFAULT_CUSHION })
  })

  it('stays when a connection starts near the live edge', () => {
    expect(decide(view({ starting: true, buffered: upTo(0.5) }))).toEqual({ kind: 'keep' })
  })

  it('never jumps before what is buffered', () => {
    expect(decide(view({ starting: true, currentTime: 0, buffered: upTo(10.1, 10) }))).toEqual({ kind: 'seek', to: 10 })
  })

  it.each([
    ['near the edge', 0.9, 1, { kind: 'keep' }],
    ['over a second behind', 1.2, 1, { kind: 'rate', rate: 1.08 }],
    ['two seconds behind', 2, 1, { kind: 'rate', rate: 1.15 }],
    ['still catching up', 0.8, 1.08, { kind: 'keep' }],
    ['slowing down while it catches up', 1.4, 1.15, { kind: 'rate', rate: 1.08 }],
    ['caught up', 0.45, 1.08, { kind: 'rate', rate: 1 }],
  ] as const)('chooses the speed when %s', (_name, behind, playbackRate, wanted) => {
    expect(decide(view({ currentTime: 60 - behind, buffered: upTo(60), playbackRate }))).toEqual(wanted)
  })

  it('jumps when far behind', () => {
    expect(decide(view({ currentTime: 50, buffered: upTo(60) }))).toEqual({ kind: 'seek', to: 60 - DEFAULT_CUSHION })
  })

  it('keeps more distance on a network that stutters', () => {
    expect(decide(view({ currentTime: 58.6, buffered: upTo(60), cushion: 1 }))).toEqual({ kind: 'keep' })
    expect(decide(view({ currentTime: 50, buffered: upTo(60), cushion: 1 }))).toEqual({ kind: 'seek', to: 59 })
  })

  it('crosses a gap once its own range is played out', () => {
    const buffered = [...upTo(20), ...upTo(40, 38)]
    expect(decide(view({ currentTime: 19, buffered }))).toEqual({ kind: 'keep' })
    expect(decide(view({ currentTime: 19.95, buffered }))).toEqual({ kind: 'seek', to: 40 - DEFAULT_CUSHION })
  })
})
