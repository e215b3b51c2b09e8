import { onScopeDispose } from 'vue'

export interface PollingOptions {
  /** Goes on while the page is hidden: for what would leave a hole. */
  whileHidden?: boolean
}

/**
 * Runs `task` now and then every `intervalMs` milliseconds while the page is visible, never twice at once, and at once
 * when the page becomes visible again. Ends with the scope. Returns a function that runs it out of turn; while it is
 * running, it runs once more afterwards, since what it began to read may be older than what the caller did.
 */
export function usePolling(task: () => Promise<void>, intervalMs: number, { whileHidden = false }: PollingOptions = {}): () => Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  let ended = false
  const isDue = (): boolean => !ended && (whileHidden || document.visibilityState === 'visible')

  function run(): Promise<void> {
    clearTimeout(timer)
    running ??= task().finally(() => {
      running = undefined
      if (isDue()) timer = setTimeout(() => void run(), intervalMs)
    })
    return running
  }
  function runAnew(): Promise<void> {
    if (!running) return run()
    const again = (): Promise<void> => {
      next = undefined
      return ended ? Promise.resolve() : run()
    }
    next ??= running.then(again, again)
    return next
  }
  function onVisibility(): void {
    if (!whileHidden) clearTimeout(timer)
    if (document.visibilityState === 'visible') void run()
  }

  document.addEventListener('visibilitychange', onVisibility)
  onScopeDispose(() => {
    ended = true
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', onVisibility)
  })
  void run()
  return runAnew
}
