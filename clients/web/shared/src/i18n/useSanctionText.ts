import { useI18n } from 'vue-i18n'
import type { Sanction } from '../api/errors'
import { isolate } from '../lib/isolate'

/** Sentences of the reader's language, one after the other. */
export const joinSentences = (sentences: readonly string[], locale: string): string => sentences.join(locale === 'zh' ? '' : ' ')

/** Says why somebody was banned or muted, and until when, as far as it is known. */
export function useSanctionText(): (sanction: Sanction) => string[] {
  const { t, d, locale } = useI18n()
  return ({ reason, untilMs }) => {
    const sentences: string[] = []
    // The sentence has an end of its own.
    const said = reason?.trim().replace(/[.。]+$/u, '')
    if (said) sentences.push(t('sanction.reason', { reason: isolate(said) }))
    if (untilMs !== undefined) sentences.push(t('sanction.until', { until: d(untilMs, { dateStyle: 'medium', timeStyle: 'short' }, locale.value) }))
    return sentences
  }
}
