import { Code, ConnectError } from '@connectrpc/connect'
import { useI18n } from 'vue-i18n'
import { errorInfo, errorReason, retryAfterMs } from '../api/errors'
import { en, type ErrorWord } from './en'

/** The word whose sentence tells of a failure: the server's reason where this page knows it, else the code's. */
export function errorWord(error: unknown): ErrorWord {
  const reason = errorReason(error)
  if (reason && reason in en.errors) return reason as ErrorWord
  return wordOfCode(ConnectError.from(error).code)
}

/** Why somebody was banned or muted, and until when; undefined where the server says nothing of it. */
export function sanctionOf(error: unknown): { reason?: string; until?: Date } {
  const { ban_reason, ban_until, mute_reason, muted_until } = errorInfo(error)?.metadata ?? {}
  const until = new Date(ban_until ?? muted_until ?? '')
  return { reason: ban_reason ?? mute_reason, until: Number.isNaN(until.getTime()) ? undefined : until }
}

/** Turns any failure of a call into a sentence in the reader's language. */
export function useErrorText(): (error: unknown) => string {
  const { t, d, locale } = useI18n()
  function wait(ms: number): string {
    const seconds = Math.ceil(ms / 1_000)
    if (seconds === 0) return t('wait.moment')
    return seconds < 90 ? t('wait.seconds', seconds) : t('wait.minutes', Math.ceil(seconds / 60))
  }
  return (error) => {
    const { reason, until } = sanctionOf(error)
    const sentences = [t(`errors.${errorWord(error)}`, { wait: wait(retryAfterMs(error)) })]
    if (reason) sentences.push(t('sanction.reason', { reason }))
    if (until) sentences.push(t('sanction.until', { until: d(until, { dateStyle: 'medium', timeStyle: 'short' }, locale.value) }))
    return sentences.join(locale.value === 'zh' ? '' : ' ')
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
