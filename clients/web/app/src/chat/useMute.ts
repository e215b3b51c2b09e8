import { computed, onScopeDispose, shallowRef } from 'vue'
import { errorInfo } from '@stoa/shared/api/errors'

export interface Mute {
  /** In the staff's words; may be empty. */
  reason: string
  /** Undefined where it has no end. */
  until?: Date
}

/** Longer timers than this overflow. */
const longestTimerMs = 2 ** 31 - 1

/** What the server said about why this person may not write; undefined while they may. */
export function useMute() {
  const mute = shallowRef<Mute>()
  let timer: ReturnType<typeof setTimeout> | undefined

  function clear(): void {
    clearTimeout(timer)
    mute.value = undefined
  }
  onScopeDispose(() => clearTimeout(timer))

  return {
    mute: computed(() => mute.value),
    clear,
    /** Looks at why a message was refused. */
    learn: (error: unknown): void => {
      const info = errorInfo(error)
      if (info?.reason !== 'MUTED') return
      clear()
      const at = Date.parse(info.metadata.muted_until ?? '')
      mute.value = { reason: info.metadata.mute_reason ?? '', until: Number.isNaN(at) ? undefined : new Date(at) }
      if (!Number.isNaN(at)) timer = setTimeout(clear, Math.min(Math.max(0, at - Date.now()), longestTimerMs))
    },
  }
}
