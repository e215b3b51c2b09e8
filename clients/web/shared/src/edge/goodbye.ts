import { Code, ConnectError } from '@connectrpc/connect'
import { GoodbyeReason, type Goodbye } from '@gen/stoa/edge/v1/edge_pb'
import { retryAfterMs } from '../api/errors'
import { refusalOf } from './errors'

/** What to do after the server has ended a connection. */
export interface Verdict {
  /**
   * `again`: come back after the wait. `renew`: the token is refused, come back with another. `stay`: not without a
   * person's doing.
   */
  act: 'again' | 'renew' | 'stay'
  /** At least so long, in milliseconds. */
  waitMs: number
  /** Whether the session may be taken up again. */
  resume: boolean
  /** Why, for people. */
  failure?: ConnectError
}

const tokenRefused = new Set([GoodbyeReason.SIGN_IN_REFUSED, GoodbyeReason.TOKEN_EXPIRED, GoodbyeReason.SESSION_REVOKED])
/** Refusals of a sign-in that another token would meet as well. */
const notOfToken = new Set([Code.ResourceExhausted, Code.Unavailable, Code.Internal, Code.DeadlineExceeded, Code.Unknown])
/** What people can do something about, or are to know why they wait; of the rest they know that it is coming back. */
const telling = new Set([GoodbyeReason.FULL, GoodbyeReason.FLOOD])

export function verdictOf({ reason, message, reconnectMs, error }: Goodbye): Verdict {
  const isOfToken = tokenRefused.has(reason)
  const code = isOfToken ? Code.Unauthenticated : telling.has(reason) ? Code.ResourceExhausted : Code.Aborted
  const failure = refusalOf(error ?? { code, reason: GoodbyeReason[reason], message, metadata: {} })
  const waitMs = Math.max(0, reconnectMs, retryAfterMs(failure))
  // What made the server give up on this client's frames would come again with the session.
  const resume = reason !== GoodbyeReason.BAD_FRAME
  if (isOfToken && !notOfToken.has(failure.code)) return { act: 'renew', waitMs, resume, failure }
  if (reason === GoodbyeReason.SIGNED_IN_ELSEWHERE || reconnectMs < 0) return { act: 'stay', waitMs: 0, resume: false, failure }
  return { act: 'again', waitMs, resume, failure: isOfToken || telling.has(reason) ? failure : undefined }
}
