/** Where a picture, or a part of it, goes. Pixels. */
export interface Crop {
  /** The part of the source that is drawn. */
  from: { x: number; y: number; width: number; height: number }
  to: { width: number; height: number }
}

interface Size {
  width: number
  height: number
}

/** All of a picture, made smaller where it does not fit. */
export function within(source: Size, box: Size): Crop {
  const scale = Math.min(1, box.width / source.width, box.height / source.height)
  const to = { width: Math.max(1, Math.round(source.width * scale)), height: Math.max(1, Math.round(source.height * scale)) }
  return { from: { x: 0, y: 0, ...source }, to }
}

/** The middle square of a picture, of at most `edge` pixels. */
export function middleSquare({ width, height }: Size, edge: number): Crop {
  const side = Math.min(width, height)
  const from = { x: Math.floor((width - side) / 2), y: Math.floor((height - side) / 2), width: side, height: side }
  const to = Math.min(edge, side)
  return { from, to: { width: to, height: to } }
}

/** A file that this browser cannot read as a picture. */
export class PictureError extends Error {}

const qualities = [0.9, 0.8, 0.65, 0.5]

/**
 * Reads a picture of any kind that the browser knows, cuts and scales it, and writes it as a JPEG of at most `maxBytes`.
 * Throws PictureError for a file that is none.
 */
export async function jpegOf(file: Blob, cut: (source: Size) => Crop, maxBytes: number): Promise<Uint8Array> {
  // Turned as its camera says.
  const bitmap = await createImageBitmap(file).catch((cause: unknown) => {
    throw new PictureError('not a picture', { cause })
  })
  try {
    const { from, to } = cut(bitmap)
    const canvas = document.createElement('canvas')
    canvas.width = to.width
    canvas.height = to.height
    const context = canvas.getContext('2d')
    if (!context) throw new PictureError('no canvas')
    // A JPEG has no transparency; what was transparent would be black.
    context.fillStyle = '#fff'
    context.fillRect(0, 0, to.width, to.height)
    context.imageSmoothingQuality = 'high'
    context.drawImage(bitmap, from.x, from.y, from.width, from.height, 0, 0, to.width, to.height)
    for (const quality of qualities) {
      const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/jpeg', quality))
      if (blob && blob.size <= maxBytes) return new Uint8Array(await blob.arrayBuffer())
    }
    throw new PictureError('too large')
  } finally {
    bitmap.close()
  }
}
