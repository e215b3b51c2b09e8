/** One heart on its way up. */
export interface Riser {
  id: number
  /** Likes that it stands for, as text, where it is more than itself. */
  label?: string
  tint: number
  /** How far it strays sideways, in pixels. */
  drift: number
  scale: number
  delayMs: number
  lastsMs: number
}

/** Hearts in the picture at one time. */
export const MAX_RISERS = 20
/** Hearts for one piece of news; the rest is a number beside the last. */
const perEvent = 5
/** The server tells of likes about once a second: they rise over that time. */
const spreadMs = 900
const tints = 3
let lastId = 0

/** The hearts for a number of likes. For the calm it is one that stands still and says how many. */
export function risersOf(count: number, underway: number, calm: boolean, random = Math.random): Riser[] {
  const room = calm ? Math.min(1, 1 - underway) : MAX_RISERS - underway
  const wanted = Math.min(Math.max(0, Math.floor(count)), calm ? 1 : perEvent)
  const hearts = Math.max(0, Math.min(wanted, room))
  return Array.from({ length: hearts }, (_, i) => {
    const more = i === hearts - 1 && count > hearts
    return {
      id: ++lastId,
      ...(more || calm ? { label: `+${count}` } : {}),
      tint: Math.floor(random() * tints),
      drift: calm ? 0 : (random() - 0.5) * 44,
      scale: 0.75 + random() * 0.35,
      delayMs: hearts > 1 ? Math.round((spreadMs / hearts) * (i + random() * 0.6)) : 0,
      lastsMs: calm ? 1_800 : 2_200 + random() * 900,
    }
  })
}
