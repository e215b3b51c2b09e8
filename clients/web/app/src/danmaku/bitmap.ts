import { isolated } from './text'

/** How a message looks, in CSS pixels. */
export interface Look {
  font: number
  line: number
  /** Device pixels in a CSS pixel. */
  ratio: number
}

/** A message drawn once, to be moved as it is. Sizes in CSS pixels. */
export interface Sprite {
  image: ImageBitmap
  width: number
  height: number
}

const family = "system-ui, -apple-system, 'Segoe UI', Roboto, 'PingFang SC', 'Hiragino Sans GB', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif"
/** Wider messages are cut: some single letters are as wide as a sentence. In letters. */
const widest = 62
/** Room around the text for its outline, and for the frame of one's own. In letters. */
const margin = 0.3

/** Draws messages as pictures. */
export class Painter {
  private readonly canvas = new OffscreenCanvas(1, 1)
  private readonly context: OffscreenCanvasRenderingContext2D

  constructor() {
    const context = this.canvas.getContext('2d')
    if (!context) throw new Error('no canvas')
    this.context = context
  }

  /** Width that a message will have, in CSS pixels. */
  measure(text: string, { font }: Look): number {
    this.context.font = fontOf(font)
    const { width } = this.context.measureText(isolated(text))
    return Math.ceil(Math.min(width, font * widest) + 2 * margin * font)
  }

  /** Draws a message of a measured width: white with a dark outline, readable on any picture; one's own in a frame. */
  paint(text: string, own: boolean, width: number, { font, line, ratio }: Look): Sprite {
    const { canvas, context } = this
    canvas.width = Math.ceil(width * ratio)
    canvas.height = Math.ceil(line * ratio)
    // A new size forgets everything.
    context.scale(ratio, ratio)
    context.font = fontOf(font)
    context.textBaseline = 'middle'
    context.lineJoin = 'round'
    const at = isolated(text)
    const [x, y] = [margin * font, line / 2]
    if (own) paintFrame(context, width, line)
    context.strokeStyle = 'rgb(0 0 0 / 75%)'
    context.lineWidth = Math.max(2.5, font / 8)
    context.strokeText(at, x, y)
    context.fillStyle = '#fff'
    context.fillText(at, x, y)
    return { image: canvas.transferToImageBitmap(), width, height: line }
  }
}

function paintFrame(context: OffscreenCanvasRenderingContext2D, width: number, height: number): void {
  context.beginPath()
  context.roundRect(1, 1, width - 2, height - 2, height / 2)
  context.fillStyle = 'rgb(12 31 29 / 45%)'
  context.fill()
  context.strokeStyle = '#5fc4ba'
  context.lineWidth = 2
  context.stroke()
}

const fontOf = (size: number): string => `600 ${size}px ${family}`
