import { Code, ConnectError } from '@connectrpc/connect'
import { retryAfterMs } from '@stoa/shared/api/errors'
import { backoffMs } from '@stoa/shared/lib/backoff'
import { onScopeDispose, readonly, ref, shallowReadonly, shallowRef } from 'vue'

const retry = { firstMs: 1_000, maxMs: 10_000 }
/** Answers that asking again does not change. */
const final = [Code.NotFound, Code.InvalidArgument, Code.PermissionDenied, Code.Unauthenticated, Code.FailedPrecondition]

/**
 * What a page shows of the server: read now, anew every `everyMs` milliseconds (0 for never) while the page is visible,
 * and again after a failure until it succeeds. What was read stays until there is something newer.
 */
export function useLoad<T>(read: (signal: AbortSignal) => Promise<T>, everyMs = 0) {
  const data = shallowRef<T>()
  const error = shallowRef<unknown>()
  const busy = ref(false)
  let abort = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  let due = false
  let attempt = 0

  async function reload(): Promise<void> {
    clearTimeout(timer)
    due = false
    abort.abort()
    const own = (abort = new AbortController())
    busy.value = true
    let waitMs = everyMs
    try {
      const answer = await read(own.signal)
      if (own.signal.aborted) return
      data.value = answer
      error.value = undefined
      attempt = 0
    } catch (failure) {
      if (own.signal.aborted) return
      error.value = failure
      const isFinal = final.includes(ConnectError.from(failure).code)
      waitMs = isFinal ? 0 : Math.max(retryAfterMs(failure), backoffMs(attempt++, retry))
    }
    busy.value = false
    if (waitMs > 0) timer = setTimeout(again, waitMs)
  }
  function again(): void {
    if (document.visibilityState === 'visible') void reload()
    else due = true
  }
  const onVisibility = (): void => {
    if (due) again()
  }

  document.addEventListener('visibilitychange', onVisibility)
  onScopeDispose(() => {
    abort.abort()
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', onVisibility)
  })
  void reload()

  return {
    data: shallowReadonly(data),
    error: shallowReadonly(error),
    busy: readonly(busy),
    reload,
    /** Takes over what an act answered, ahead of the next reading. */
    put: (value: T): void => void (data.value = value),
  }
}
