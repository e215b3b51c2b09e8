import { Code, ConnectError } from '@connectrpc/connect'
import { useI18n } from 'vue-i18n'
import { errorReason, retryAfterMs, sanctionOf } from '../api/errors'
import { en, type ErrorWord } from './en'
import { joinSentences, useSanctionText } from './useSanctionText'

/** The word whose sentence tells of a failure: the server's reason where this page knows it, else the code's. */
export function errorWord(error: unknown): ErrorWord {
  const reason = errorReason(error)
  if (reason && reason in en.errors) return reason as ErrorWord
  return wordOfCode(ConnectError.from(error).code)
}

/** Turns any failure of a call into a sentence in the reader's language. */
export function useErrorText(): (error: unknown) => string {
  const { t, locale } = useI18n()
  const sanctionText = useSanctionText()
  function wait(ms: number): string {
    const seconds = Math.ceil(ms / 1_000)
    if (seconds === 0) return t('wait.moment')
    return seconds < 90 ? t('wait.seconds', seconds) : t('wait.minutes', Math.ceil(seconds / 60))
  }
  return (error) => {
    const sentence = t(`errors.${errorWord(error)}`, { wait: wait(retryAfterMs(error)) })
    return joinSentences([sentence, ...sanctionText(sanctionOf(error))], locale.value)
  }
}

function wordOfCode(code: Code): ErrorWord {
  switch (code) {
    case Code.Unauthenticated:
      return 'UNAUTHENTICATED'
    case Code.PermissionDenied:
      return 'FORBIDDEN'
    case Code.InvalidArgument:
      return 'INVALID_ARGUMENT'
    case Code.NotFound:
      return 'NOT_FOUND'
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
