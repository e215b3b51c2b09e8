/** Asks anew each time, where a type checker would take an earlier answer for lasting. */
export const isAborted = (signal: AbortSignal): boolean => signal.aborted

/** Waits for ms milliseconds, or until the signal aborts; never rejects. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve()
      return
    }
    const timer = setTimeout(done, ms)
    function done(): void {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    signal?.addEventListener('abort', done)
  })
}
