import { Painter, type Look, type Sprite } from './bitmap'
import { Lanes, leftEdge } from './lanes'
import { layoutOf, type Layout } from './layout'
import type { DanmakuChoice } from './settings'
import { Waiting } from './waiting'

/** Phones with three device pixels show no difference to two, at half the work. */
const maxRatio = 2
/** Drawing new messages may take this long in one frame; the rest has its turn in the next. */
const paintMs = 4
/** Weight of one message in the usual width. */
const usualShare = 0.05
/** Longer messages than this are no measure for others. */
const usualLetters = 12

interface Waiter {
  key: string
  text: string
  own: boolean
  width: number
}

/** A message on its way. `key` tells which one. */
type Flight = Sprite & { key: string }

/** Messages that cross a canvas. Draws only while something moves. */
export class DanmakuStage {
  private readonly context: CanvasRenderingContext2D
  private readonly painter = new Painter()
  private readonly waiting = new Waiting<Waiter>()
  private readonly lanes = new Lanes<Flight>({ width: 0, lanes: 0, gap: 0 })
  private layout: Layout
  private look: Look
  /** What messages are wide of late. All wait for as much room, or short ones would take every place in a rush. */
  private usualWidth = 0
  private width = 0
  private height = 0
  private frame: number | undefined

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private choice: Pick<DanmakuChoice, 'area' | 'size' | 'density'>,
  ) {
    const context = canvas.getContext('2d')
    if (!context) throw new Error('no canvas')
    this.context = context
    this.layout = layoutOf(0, choice)
    this.look = { ...this.layout, ratio: 1 }
  }

  /** Sets the size of the picture, in CSS pixels. */
  resize(width: number, height: number): void {
    this.width = width
    this.height = height
    this.arrange()
  }

  configure(choice: Pick<DanmakuChoice, 'area' | 'size' | 'density'>): void {
    this.choice = choice
    this.arrange()
  }

  /** Sends a line over the picture, now or never: a hidden page shows nothing, and a full one leaves it out. */
  show(key: string, text: string, own: boolean): void {
    if (document.hidden || this.layout.lanes === 0) return
    const width = this.painter.measure(text, this.look)
    this.usualWidth += (Math.min(width, this.look.font * usualLetters) - this.usualWidth) * usualShare
    this.waiting.add({ key, text, own, width }, own, performance.now())
    this.frame ??= requestAnimationFrame(this.draw)
  }

  /** Takes a message away at once. */
  drop(key: string): void {
    this.waiting.dismiss((waiter) => waiter.key === key)
    // The next frame, which comes while anything is on its way, draws without it.
    this.release(this.lanes.takeOut((flight) => flight.key === key))
  }

  /** Ends for good. */
  stop(): void {
    if (this.frame !== undefined) cancelAnimationFrame(this.frame)
    for (const { item } of this.lanes.crossings()) item.image.close()
    this.lanes.reshape({ width: 0, lanes: 0, gap: 0 }, 0)
    this.waiting.clear()
  }

  private arrange(): void {
    const ratio = Math.min(maxRatio, devicePixelRatio)
    const layout = layoutOf(this.height, this.choice)
    // What was drawn at another size no longer fits its lane.
    const anew = layout.font !== this.layout.font || ratio !== this.look.ratio
    this.layout = layout
    this.look = { font: layout.font, line: layout.line, ratio }
    this.canvas.width = Math.round(this.width * ratio)
    this.canvas.height = Math.round(this.height * ratio)
    const nowMs = performance.now()
    if (anew) {
      this.waiting.clear()
      this.release(this.lanes.reshape({ width: this.width, lanes: 0, gap: 0 }, nowMs))
    }
    this.release(this.lanes.reshape({ width: this.width, lanes: layout.lanes, gap: layout.gap }, nowMs))
    // The canvas forgot its picture.
    if (this.frame === undefined && !this.lanes.isEmpty) this.frame = requestAnimationFrame(this.draw)
  }

  private readonly draw = (): void => {
    if (Math.min(maxRatio, devicePixelRatio) !== this.look.ratio) this.arrange()
    const nowMs = performance.now()
    this.release(this.lanes.leave(nowMs))
    this.enter(nowMs)
    const { context, width } = this
    const { ratio } = this.look
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    context.clearRect(0, 0, width, this.height)
    for (const crossing of this.lanes.crossings()) {
      const { item, lane } = crossing
      context.drawImage(item.image, leftEdge(crossing, width, nowMs), lane * this.layout.pitch, item.image.width / ratio, item.height)
    }
    this.frame = this.lanes.isEmpty && this.waiting.isEmpty ? undefined : requestAnimationFrame(this.draw)
  }

  /** Gives lanes to those who wait, for as long as a frame has time for it. */
  private enter(nowMs: number): void {
    this.waiting.serve(nowMs, ({ key, text, own, width }) => {
      if (performance.now() - nowMs > paintMs) return false
      return this.lanes.place(width, nowMs, () => ({ ...this.painter.paint(text, own, width, this.look), key }), this.usualWidth)
    })
  }

  private release(gone: { item: Sprite }[]): void {
    for (const { item } of gone) item.image.close()
  }
}
