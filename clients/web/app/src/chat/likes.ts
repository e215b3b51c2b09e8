/** Most likes that one call may carry. */
export const MAX_LIKES_A_CALL = 50

export interface LikeTaps {
  /** Counts one tap; it is sent within the interval, together with the others of that time. */
  tap(): void
  /** Taps that the server has not confirmed. */
  readonly open: number
  stop(): void
}

/** Merges taps into one call an interval. `onRefused` is told how many taps a failed call lost. */
export function createLikeTaps(
  send: (count: number) => Promise<unknown>,
  onRefused: (count: number) => void,
  intervalMs = 1_000,
): LikeTaps {
  let waiting = 0
  let underway = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  async function flush(): Promise<void> {
    timer = undefined
    underway = Math.min(waiting, MAX_LIKES_A_CALL)
    waiting -= underway
    try {
      await send(underway)
    } catch {
      onRefused(underway)
    } finally {
      underway = 0
      if (waiting > 0) timer = setTimeout(() => void flush(), intervalMs)
    }
  }

  return {
    tap() {
      waiting++
      if (!timer && underway === 0) timer = setTimeout(() => void flush(), intervalMs)
    },
    get open() {
      return waiting + underway
    },
    stop() {
      clearTimeout(timer)
      if (waiting > 0) void send(Math.min(waiting, MAX_LIKES_A_CALL)).catch(() => undefined)
      waiting = 0
    },
  }
}
