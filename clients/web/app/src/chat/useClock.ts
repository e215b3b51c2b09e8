import { computed } from 'vue'
import { useI18n } from 'vue-i18n'

/** How the list says times and days; made once a language, since making a format costs more than using it. */
export function useClock() {
  const { locale } = useI18n()
  const formats = computed(() => ({
    time: new Intl.DateTimeFormat(locale.value, { hour: '2-digit', minute: '2-digit' }),
    full: new Intl.DateTimeFormat(locale.value, { dateStyle: 'medium', timeStyle: 'medium' }),
    day: new Intl.DateTimeFormat(locale.value, { weekday: 'long', month: 'long', day: 'numeric' }),
    dayOfYear: new Intl.DateTimeFormat(locale.value, { dateStyle: 'long' }),
    near: new Intl.RelativeTimeFormat(locale.value, { numeric: 'auto' }),
  }))

  return {
    time: (atMs: number): string => formats.value.time.format(atMs),
    full: (atMs: number): string => formats.value.full.format(atMs),
    /** "today", "yesterday", or the date. */
    day(atMs: number): string {
      const [date, now] = [new Date(atMs), new Date()]
      const days = Math.round((date.setHours(0, 0, 0, 0) - now.setHours(0, 0, 0, 0)) / 86_400_000)
      const words = formats.value
      if (days === 0 || days === -1) {
        const near = words.near.format(days, 'day')
        return near.charAt(0).toLocaleUpperCase(locale.value) + near.slice(1)
      }
      return date.getFullYear() === now.getFullYear() ? words.day.format(atMs) : words.dayOfYear.format(atMs)
    },
  }
}

export type Clock = ReturnType<typeof useClock>
