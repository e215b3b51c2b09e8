/** A piece of buffered media, in seconds of media time. */
export interface BufferedRange {
  start: number
  end: number
}

export interface PlayerView {
  /** Where the picture stands, in seconds of media time. */
  currentTime: number
  buffered: BufferedRange[]
  playbackRate: number
  /** True in the first moments of a connection, while the server's burst since the last keyframe still arrives. */
  starting: boolean
  /** How far behind the newest media to stay, in seconds; raised for viewers whose network stutters. */
  cushion: number
}

export type Decision = { kind: 'keep' } | { kind: 'seek'; to: number } | { kind: 'rate'; rate: number }

/** Distance to the live edge that a steady connection is brought to, in seconds. */
export const DEFAULT_CUSHION = 0.3
/** Behind this, catching up by speed would take too long: the player jumps. Seconds. */
export const JUMP_BEHIND = 3

const chaseBehindCushion = 0.7
const chasedBehindCushion = 0.2
const burstBehindCushion = 0.4
const gentleRate = 1.08
const briskRate = 1.15
const briskBehind = 1.5
/** A picture this close to the end of its range has nothing left to show there. Seconds. */
const rangeEnd = 0.12

/** Seconds between the picture and the newest media; undefined before any media. */
export function latencyOf(view: Pick<PlayerView, 'currentTime' | 'buffered'>): number | undefined {
  const newest = view.buffered.at(-1)
  return newest && Math.max(0, newest.end - view.currentTime)
}

/**
 * What to do to be near the live edge. At the start it jumps over what the server sent to make the picture instant;
 * later it speeds up a little, so that nobody hears it, and jumps only when far behind or stuck before a gap.
 */
export function decide(view: PlayerView): Decision {
  const newest = view.buffered.at(-1)
  const latency = latencyOf(view)
  if (!newest || latency === undefined) return { kind: 'keep' }

  const edge = Math.max(newest.start, newest.end - view.cushion)
  if (isStuckBefore(newest, view)) return { kind: 'seek', to: edge }
  if (view.currentTime < newest.start) return { kind: 'keep' }
  if (latency > JUMP_BEHIND) return { kind: 'seek', to: edge }
  if (view.starting && latency > view.cushion + burstBehindCushion) return { kind: 'seek', to: edge }

  const chasing = view.playbackRate > 1
  const rate = wantedRate(latency, view.cushion, chasing)
  return rate === view.playbackRate ? { kind: 'keep' } : { kind: 'rate', rate }
}

function wantedRate(latency: number, cushion: number, chasing: boolean): number {
  const from = cushion + (chasing ? chasedBehindCushion : chaseBehindCushion)
  if (latency <= from) return 1
  return latency > briskBehind ? briskRate : gentleRate
}

/** True when the picture stands before the newest range and its own range, if any, is played out. */
function isStuckBefore(newest: BufferedRange, view: PlayerView): boolean {
  if (view.currentTime >= newest.start) return false
  const own = view.buffered.find((range) => view.currentTime >= range.start && view.currentTime <= range.end)
  return !own || own.end - view.currentTime < rangeEnd
}
