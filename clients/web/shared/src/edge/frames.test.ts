import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf'
import { ServerFrameSchema, type ServerFrame } from '@gen/stoa/edge/v1/edge_pb'
import { describe, expect, it, vi } from 'vitest'
import { FrameReader } from './frames'
import { pack } from './fakeServer'

type FrameInit = MessageInitShape<typeof ServerFrameSchema>

const frame = (id: number, padding = 0): FrameInit => ({ id, kind: { case: 'reply', value: { response: crypto.getRandomValues(new Uint8Array(padding)) } } })
const bytesOf = (init: FrameInit): Uint8Array => toBinary(ServerFrameSchema, create(ServerFrameSchema, init))
const packed = async (init: FrameInit, change = {}): Promise<Uint8Array> => bytesOf({ kind: { case: 'packed', value: { ...(await pack(init)), ...change } } })

function read() {
  const ids: number[] = []
  const onFailure = vi.fn()
  const reader = new FrameReader(({ id }: ServerFrame) => ids.push(id), onFailure)
  return { ids, onFailure, reader, done: () => new Promise<void>((resolve) => reader.after(resolve)) }
}

describe('FrameReader', () => {
  it('hands plain frames on at once', () => {
    const { ids, reader } = read()
    for (const id of [1, 2, 3]) reader.take(bytesOf(frame(id)))
    expect(ids).toEqual([1, 2, 3])
  })

  it('keeps the order, however long unpacking takes', async () => {
    const { ids, reader, done, onFailure } = read()
    // A large one takes longer than the small one behind it.
    const frames = [await packed(frame(1, 60_000)), await packed(frame(2)), bytesOf(frame(3)), await packed(frame(4, 30_000)), bytesOf(frame(5))]
    reader.take(bytesOf(frame(0)))
    for (const bytes of frames) reader.take(bytes)
    expect(ids).toEqual([0])
    await done()
    expect(ids).toEqual([0, 1, 2, 3, 4, 5])
    reader.take(bytesOf(frame(6)))
    await done()
    expect(ids.at(-1)).toBe(6)
    expect(onFailure).not.toHaveBeenCalled()
  })

  it('keeps the order of what comes in the middle of unpacking', async () => {
    const { ids, reader, done } = read()
    reader.take(await packed(frame(1, 50_000)))
    for (let id = 2; id < 40; id++) {
      await Promise.resolve()
      reader.take(bytesOf(frame(id)))
    }
    await done()
    expect(ids).toEqual(Array.from({ length: 39 }, (_, i) => i + 1))
  })

  it.each<[string, () => Uint8Array | Promise<Uint8Array>]>([
    ['is no frame', () => new Uint8Array([0xff, 0xff])],
    ['is not compressed', () => packed(frame(1), { gzip: new Uint8Array([1, 2, 3]) })],
    ['is of another size than it says', () => packed(frame(1), { size: 1 })],
    ['has another packed frame in it', async () => packed({ kind: { case: 'packed', value: await pack(frame(1)) } })],
  ])('fails once, after all before it, on what %s', async (_what, bad) => {
    const { ids, reader, done, onFailure } = read()
    reader.take(await packed(frame(1, 20_000)))
    reader.take(await bad())
    reader.take(bytesOf(frame(2)))
    reader.take(await bad())
    await done()
    expect(ids).toEqual([1])
    expect(onFailure).toHaveBeenCalledTimes(1)
  })
})
