/** Over this time the bitrate is averaged, in ms: encoders send unevenly, a keyframe being far larger than the rest. */
const windowMs = 4_000
/** Less than this says nothing. */
const leastMs = 1_000

/** Measures how many bits a second have come of late. */
export class BitrateMeter {
  private samples: { atMs: number; bytes: number }[] = []
  private sinceMs: number | undefined

  /** Counts bytes that came until `nowMs`; the first call only starts the clock. */
  add(bytes: number, nowMs: number): void {
    this.sinceMs ??= nowMs
    if (nowMs === this.sinceMs && this.samples.length === 0) return
    this.samples.push({ atMs: nowMs, bytes })
    while (this.samples[0] && this.samples[0].atMs <= nowMs - windowMs) this.sinceMs = this.samples.shift()?.atMs
  }

  /** Bits a second; undefined before enough was heard. */
  get bps(): number | undefined {
    const last = this.samples.at(-1)
    if (!last || this.sinceMs === undefined || last.atMs - this.sinceMs < leastMs) return undefined
    const bytes = this.samples.reduce((sum, sample) => sum + sample.bytes, 0)
    return (bytes * 8_000) / (last.atMs - this.sinceMs)
  }
}
