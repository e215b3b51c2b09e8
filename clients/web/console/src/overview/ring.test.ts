import { create } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { SampleSchema, type Sample } from '@gen/stoa/admin/v1/admin_service_pb'
import { describe, expect, it } from 'vitest'
import { aboveZero, merge, points, range, sampleMs, WINDOW_MS } from './ring'

const at = (ms: number, viewerCount = 0): Sample => create(SampleSchema, { at: timestampFromMs(ms), viewerCount })
const times = (samples: readonly Sample[]): number[] => samples.map(sampleMs)

describe('merge', () => {
  it('adds what is new, once', () => {
    expect(times(merge([at(2_000), at(4_000)], [at(4_000), at(6_000)]))).toEqual([2_000, 4_000, 6_000])
  })

  it('keeps what is there when nothing came', () => {
    expect(times(merge([at(2_000)], []))).toEqual([2_000])
  })

  it('is empty before the first', () => {
    expect(merge([], [])).toEqual([])
  })

  it('lets go of what is older than ten minutes', () => {
    expect(times(merge([at(0), at(2_000)], [at(WINDOW_MS + 2_000)]))).toEqual([2_000, WINDOW_MS + 2_000])
  })
})

describe('points', () => {
  it('leaves a hole where the server was away', () => {
    const line = points([at(2_000, 1), at(4_000, 2), at(30_000, 3)], (sample) => sample.viewerCount)
    expect(line).toEqual([[2_000, 1], [4_000, 2], [4_001, null], [30_000, 3]])
  })
})

describe('aboveZero', () => {
  it('keeps what rises and falls, and leaves out the ground', () => {
    expect(aboveZero([[1, 0], [2, 0], [3, 4], [4, 0], [5, 0], [6, null]]).map(([, value]) => value)).toEqual([null, 0, 4, 0, null, null])
  })
})

describe('range', () => {
  it('finds the lowest and the highest', () => {
    expect(range([at(1, 5), at(2, 2), at(3, 9)], (sample) => sample.viewerCount)).toEqual({ low: 2, high: 9 })
    expect(range([], (sample) => sample.viewerCount)).toEqual({ low: 0, high: 0 })
  })
})
