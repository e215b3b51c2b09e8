import { Code, type ConnectError } from '@connectrpc/connect'
import { errorReason, isConnectionFailure } from '@stoa/shared/api/errors'

/** True where the server itself said why it keeps somebody out, and the reader can do something about it or wait. */
export function isRefusal(failure: ConnectError | undefined): boolean {
  if (!failure || errorReason(failure) === undefined) return false
  // A session that ended is renewed, or told of by the whole page.
  return !isConnectionFailure(failure) && failure.code !== Code.Unauthenticated
}
