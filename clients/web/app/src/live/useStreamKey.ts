import { onScopeDispose, ref, shallowRef } from 'vue'
import { live } from '@app/api'
import { errorReason } from '@stoa/shared/api/errors'
import { backoffMs } from '@stoa/shared/lib/backoff'
import { isAborted, sleep } from '@stoa/shared/lib/sleep'

export interface EncoderAddress {
  rtmpUrl: string
  streamKey: string
}

/** Where an encoder of one room sends to. The key lives in memory only. */
export function useStreamKey(roomId: string) {
  const address = shallowRef<EncoderAddress>()
  /** `none` is a room without a key that can be shown. */
  const status = ref<'loading' | 'none' | 'ready'>('loading')
  const error = shallowRef<unknown>()
  const abort = new AbortController()

  function take({ rtmpUrl, streamKey }: EncoderAddress): void {
    address.value = { rtmpUrl, streamKey }
    status.value = 'ready'
    error.value = undefined
  }

  async function load(): Promise<void> {
    for (let attempt = 0; !isAborted(abort.signal); attempt++) {
      try {
        take(await live.getStreamKey({ roomId }, { signal: abort.signal }))
        return
      } catch (failure) {
        if (isAborted(abort.signal) || address.value) return
        if (errorReason(failure) === 'NO_STREAM_KEY') {
          status.value = 'none'
          return
        }
        error.value = failure
      }
      await sleep(backoffMs(attempt, { firstMs: 1_000, maxMs: 10_000 }), abort.signal)
    }
  }

  /** Makes a key; the one before stops working. */
  async function issue(): Promise<void> {
    take(await live.issueStreamKey({ roomId }))
  }

  onScopeDispose(() => abort.abort())
  void load()
  return { address, status, error, issue }
}
