import type { Duration } from '@bufbuild/protobuf/wkt'
import { useI18n } from 'vue-i18n'

/** Says how long something took. */
export function useDuration(): (duration: Duration | undefined) => string {
  const { t } = useI18n()
  return (duration) => {
    const seconds = Number(duration?.seconds ?? 0n)
    if (seconds < 60) return t('room.length.seconds', { seconds })
    const minutes = Math.floor(seconds / 60)
    if (minutes < 60) return t('room.length.minutes', { minutes })
    return t('room.length.hours', { hours: Math.floor(minutes / 60), minutes: minutes % 60 })
  }
}
