import { Code, ConnectError, type Interceptor } from '@connectrpc/connect'
import { readonly, ref, type Ref } from 'vue'
import { errorReason } from './errors'

/** Whether the server answers, as far as the calls of this page can tell. */
export interface Reach {
  /** True from a call that found no server until one that did. */
  isLost: Readonly<Ref<boolean>>
  /** Takes the server for lost until a call finds it: something that is no call did not. */
  doubt: () => void
  /** Something that is no call found the server. */
  found: () => void
  interceptor: Interceptor
}

/** True for a failure that says that no working server was there; a refusal of ours comes from one that is. */
export function foundNoServer(error: unknown): boolean {
  const { code } = ConnectError.from(error)
  if (code === Code.DeadlineExceeded) return true
  const reason = errorReason(error)
  return (code === Code.Unavailable || code === Code.Unknown) && (reason === undefined || reason === 'UNAVAILABLE')
}

export function watchReach(): Reach {
  const isLost = ref(false)
  return {
    isLost: readonly(isLost),
    doubt: () => (isLost.value = true),
    found: () => (isLost.value = false),
    interceptor: (next) => async (request) => {
      try {
        const response = await next(request)
        // The headers of a stream come with its first event, so that it, too, stands for a server.
        isLost.value = false
        return response
      } catch (error) {
        // What the page itself gave up says nothing of the server.
        if (!request.signal.aborted || ConnectError.from(error).code === Code.DeadlineExceeded) isLost.value = foundNoServer(error)
        throw error
      }
    },
  }
}
