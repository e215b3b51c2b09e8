import { Code, ConnectError } from '@connectrpc/connect'
import { useI18n } from 'vue-i18n'
import { errorReason, retryAfterMs } from '../api/errors'
import { en, type ErrorWord } from './en'

/** The word whose sentence tells of a failure: the server's reason where this page knows it, else the code's. */
export function errorWord(error: unknown): ErrorWord {
  const reason = errorReason(error)
  if (reason && reason in en.errors) return reason as ErrorWord
  return wordOfCode(ConnectError.from(error).code)
}

/** Turns any failure of a call into a sentence in the reader's language. */
export function useErrorText(): (error: unknown) => string {
  const { t } = useI18n()
  function wait(ms: number): string {
    const seconds = Math.ceil(ms / 1_000)
    if (seconds === 0) return t('wait.moment')
    return seconds < 90 ? t('wait.seconds', seconds) : t('wait.minutes', Math.ceil(seconds / 60))
  }
  return (error) => t(`errors.${errorWord(error)}`, { wait: wait(retryAfterMs(error)) })
}

function wordOfCode(code: Code): ErrorWord {
  switch (code) {
    case Code.Unauthenticated:
      return 'UNAUTHENTICATED'
    case Code.PermissionDenied:
      return 'FORBIDDEN'
    case Code.InvalidArgument:
      return 'INVALID_ARGUMENT'
    case Code.ResourceExhausted:
      return 'RATE_LIMITED'
    case Code.DeadlineExceeded:
      return 'DEADLINE_EXCEEDED'
    case Code.Canceled:
      return 'CANCELED'
    // A fetch that found no server is "unknown" to the transport.
    case Code.Unavailable:
    case Code.Unknown:
      return 'UNAVAILABLE'
    default:
      return 'INTERNAL'
  }
}
