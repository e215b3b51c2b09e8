import { Code, ConnectError } from '@connectrpc/connect'
import { ErrorInfoSchema, type ErrorInfo } from '@gen/google/rpc/error_details_pb'

/** The machine-readable part of a failure of ours, if it has one. */
export function errorInfo(error: unknown): ErrorInfo | undefined {
  return ConnectError.from(error)
    .findDetails(ErrorInfoSchema)
    .find((info) => info.domain === 'stoa')
}

/** The reason word of a failure, such as "WRONG_CREDENTIALS"; undefined when the server gave none. */
export function errorReason(error: unknown): string | undefined {
  return errorInfo(error)?.reason
}

/** Why somebody was banned or muted, and until when, ms since 1970; undefined where the server says nothing of it. */
export interface Sanction {
  reason?: string
  untilMs?: number
}

export function sanctionOf(error: unknown): Sanction {
  const { ban_reason, ban_until, mute_reason, muted_until } = errorInfo(error)?.metadata ?? {}
  const untilMs = Date.parse(ban_until ?? muted_until ?? '')
  return { reason: ban_reason ?? mute_reason, untilMs: Number.isNaN(untilMs) ? undefined : untilMs }
}

/** How long the server asks to wait, in milliseconds; 0 when it does not say. */
export function retryAfterMs(error: unknown): number {
  const value = Number(errorInfo(error)?.metadata.retry_after_ms)
  return Number.isFinite(value) && value > 0 ? value : 0
}

/** True when the call did not reach a working server, so that trying again may help. */
export function isConnectionFailure(error: unknown): boolean {
  const { code } = ConnectError.from(error)
  return code === Code.Unavailable || code === Code.DeadlineExceeded || code === Code.Unknown
}
