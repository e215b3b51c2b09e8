import { timestampMs, type Timestamp } from '@bufbuild/protobuf/wkt'
import { computed } from 'vue'
import { useI18n } from 'vue-i18n'
import { memorySize, spanParts } from './spans'

/** Writers are slow to make, and every line of a chat needs one. */
const writers = new Map<string, Intl.DateTimeFormat>()
function writer(tag: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${tag} ${options.dateStyle ?? ''} ${options.timeStyle ?? ''}`
  const made = writers.get(key) ?? new Intl.DateTimeFormat(tag, { ...options, hourCycle: 'h23' })
  writers.set(key, made)
  return made
}

/** Times and amounts as the reader's language writes them, in the reader's time zone. */
export function useFormat() {
  const { locale, t } = useI18n()
  const tag = computed(() => (locale.value === 'zh' ? 'zh-CN' : 'en'))
  const moment = computed(() => writer(tag.value, { dateStyle: 'medium', timeStyle: 'short' }))
  const second = computed(() => writer(tag.value, { dateStyle: 'medium', timeStyle: 'medium' }))
  const clock = computed(() => writer(tag.value, { timeStyle: 'medium' }))
  const amount = (digits: number) => new Intl.NumberFormat(tag.value, { maximumFractionDigits: digits })

  const write = (format: Intl.DateTimeFormat, at: Timestamp | number | undefined): string =>
    at === undefined ? '' : format.format(typeof at === 'number' ? at : timestampMs(at))

  return {
    /** Day and minute. */
    time: (at: Timestamp | number | undefined): string => write(moment.value, at),
    /** Day and second. */
    exact: (at: Timestamp | number | undefined): string => write(second.value, at),
    /** Time of day alone. */
    clock: (at: Timestamp | number | undefined): string => write(clock.value, at),
    number: (value: number, digits = 0): string => amount(digits).format(value),
    /** A rate: small ones with decimals. */
    rate: (value: number): string => amount(value < 10 ? 2 : value < 100 ? 1 : 0).format(value),
    memory: (bytes: number): string => {
      if (bytes === 0) return '0'
      const { value, unit } = memorySize(bytes)
      return `${amount(value < 10 ? 1 : 0).format(value)} ${unit}`
    },
    /** How long something took or takes: its two largest units. */
    span: (ms: number): string => spanParts(ms).map(({ unit, count }) => t(`span.${unit}`, { count }, count)).join(' '),
    /** When something ends. */
    until: (at: Timestamp | undefined): string => (at ? t('list.until', { time: write(moment.value, at) }) : t('list.forEver')),
  }
}
