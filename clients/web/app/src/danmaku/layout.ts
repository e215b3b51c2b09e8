/** How much of the picture's height messages may use. */
export const areas = ['quarter', 'half', 'full'] as const
export type Area = (typeof areas)[number]

export const sizes = ['small', 'medium', 'large'] as const
export type Size = (typeof sizes)[number]

/** How many messages at once. */
export const densities = ['low', 'medium', 'high'] as const
export type Density = (typeof densities)[number]

export interface Layout {
  /** Size of the letters, in pixels. */
  font: number
  /** Height of a message, in pixels. */
  line: number
  lanes: number
  /** From the top of one lane to the next, in pixels. */
  pitch: number
  /** Least distance between messages of a lane, in pixels. */
  gap: number
}

const areaShare: Record<Area, number> = { quarter: 0.25, half: 0.5, full: 1 }
const sizeScale: Record<Size, number> = { small: 0.8, medium: 1, large: 1.3 }
/** Fewer messages have fewer lanes, and more air between them. Gaps are in letters. */
const densityShare: Record<Density, { lanes: number; gap: number }> = {
  low: { lanes: 0.4, gap: 5 },
  medium: { lanes: 0.7, gap: 2.5 },
  high: { lanes: 1, gap: 1 },
}
/** Letters grow with the picture between these, in pixels. */
const fontShare = 0.042
const smallestFont = 14
const largestFont = 32
const lineHeight = 1.45

/** How messages stand in a picture of this height, in pixels. */
export function layoutOf(height: number, { area, size, density }: { area: Area; size: Size; density: Density }): Layout {
  const font = Math.round(Math.min(largestFont, Math.max(smallestFont, height * fontShare)) * sizeScale[size])
  const line = Math.ceil(font * lineHeight)
  const usable = height * areaShare[area]
  const possible = Math.floor(usable / line)
  const lanes = height < line ? 0 : Math.max(1, Math.round(possible * densityShare[density].lanes))
  const pitch = Math.max(line, Math.floor(usable / Math.max(1, lanes)))
  return { font, line, lanes, pitch, gap: Math.round(font * densityShare[density].gap) }
}
