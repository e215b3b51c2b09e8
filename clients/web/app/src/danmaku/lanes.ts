/** The way of one message from the right edge of the picture to the left. */
export interface Way {
  /** Which lane, 0 at the top. */
  readonly lane: number
  /** Width of the message, in pixels. */
  readonly width: number
  /** When its head entered at the right edge, in ms. */
  readonly startMs: number
}

export interface Crossing<T> extends Way {
  readonly item: T
}

export interface Shape {
  /** Width of the picture, in pixels. */
  width: number
  /** How many lanes there are. */
  lanes: number
  /** Least distance between two messages of a lane, in pixels. */
  gap: number
}

/** Every message takes this long from its first pixel's coming to its last one's leaving. */
export const CROSS_MS = 8_000

/** Where the left edge of a message is at a time, in pixels from the picture's left edge. */
export function leftEdge({ width, startMs }: Pick<Way, 'width' | 'startMs'>, stageWidth: number, atMs: number): number {
  return stageWidth - ((stageWidth + width) * (atMs - startMs)) / CROSS_MS
}

/**
 * Lanes in which messages follow each other and never touch. All take the same time, so a wide one is faster than a
 * narrow one: a message enters only where it does not reach the one before until that one has left the picture.
 */
export class Lanes<T> {
  private lanes: Crossing<T>[][] = []
  private shape: Shape

  constructor(shape: Shape) {
    this.shape = shape
    this.setLaneCount(shape.lanes)
  }

  /** All messages on their way, lane by lane. */
  *crossings(): Generator<Crossing<T>> {
    for (const lane of this.lanes) yield* lane
  }

  get isEmpty(): boolean {
    return this.lanes.every((lane) => lane.length === 0)
  }

  /**
   * Sends a message into the uppermost lane with room for it, and makes it then; false when there is no room now. It may
   * ask for more room than its own `width`: what suits a wider and thus faster one suits it, too.
   */
  place(width: number, nowMs: number, make: () => T, room = width): boolean {
    for (const [lane, ahead] of this.lanes.entries()) {
      const way = { lane, width, startMs: nowMs }
      if (!this.staysClear(ahead.at(-1), { ...way, width: Math.max(width, room) }, nowMs, this.shape.gap)) continue
      ahead.push({ item: make(), ...way })
      return true
    }
    return false
  }

  /** Takes out the messages that have left the picture, and returns them. */
  leave(nowMs: number): Crossing<T>[] {
    const gone: Crossing<T>[] = []
    for (const lane of this.lanes) {
      while (lane[0] && nowMs - lane[0].startMs >= CROSS_MS) gone.push(...lane.splice(0, 1))
    }
    return gone
  }

  /** Takes out the messages whom it fits, wherever they are, and returns them. */
  takeOut(which: (item: T) => boolean): Crossing<T>[] {
    const gone = [...this.crossings()].filter(({ item }) => which(item))
    this.lanes = this.lanes.map((lane) => lane.filter((crossing) => !gone.includes(crossing)))
    return gone
  }

  /**
   * Takes on another shape. Messages keep how far they have come; those that would run into another in a narrower
   * picture, and those whose lane is no more, are taken out and returned.
   */
  reshape(shape: Shape, nowMs: number): Crossing<T>[] {
    this.shape = shape
    const gone = this.setLaneCount(shape.lanes)
    for (const [index, lane] of this.lanes.entries()) {
      const kept: Crossing<T>[] = []
      for (const crossing of lane) (this.staysClear(kept.at(-1), crossing, nowMs, 0) ? kept : gone).push(crossing)
      this.lanes[index] = kept
    }
    return gone
  }

  /** Both move evenly, so what holds now and when the one ahead is gone holds at every time between. */
  private staysClear(ahead: Way | undefined, crossing: Way, nowMs: number, gap: number): boolean {
    if (!ahead) return true
    const goneMs = ahead.startMs + CROSS_MS
    return nowMs >= goneMs || (this.distance(ahead, crossing, nowMs) >= gap && this.distance(ahead, crossing, goneMs) >= gap)
  }

  private distance(ahead: Way, crossing: Way, atMs: number): number {
    const { width } = this.shape
    return leftEdge(crossing, width, atMs) - leftEdge(ahead, width, atMs) - ahead.width
  }

  private setLaneCount(count: number): Crossing<T>[] {
    const gone = this.lanes.splice(count).flat()
    while (this.lanes.length < count) this.lanes.push([])
    return gone
  }
}
