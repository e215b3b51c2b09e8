import { onScopeDispose, ref, watch } from 'vue'
import { useI18n } from 'vue-i18n'
import { textOf } from '@stoa/shared/chat/content'
import { findMentions } from './mentions'
import { isBlankName, type KnownNames } from './names'
import type { Talk } from './talk'

/** A busy chat read out as it comes would drown everything else. */
const everyMs = 5_000
/** Characters of a message that are read out. */
const longest = 200

/** What a screen reader says of a chat: a single message as it is, many by their number, and who names the reader. */
export function useAnnouncer(talk: Talk, names: KnownNames, myName: () => string | undefined) {
  const { t } = useI18n()
  const announcement = ref('')
  const waiting = ref(0)
  let latest: { text: string; named: boolean } | undefined
  let timer: ReturnType<typeof setTimeout> | undefined

  function say(): void {
    timer = undefined
    if (!latest) return
    announcement.value = waiting.value === 1 || latest.named ? latest.text : t('chat.newMessages', waiting.value)
    waiting.value = 0
    latest = undefined
    timer = setTimeout(say, everyMs)
  }

  const stop = talk.onMessage((message, own) => {
    if (own) return
    waiting.value++
    const text = textOf(message)
    const name = message.sender?.nickname ?? ''
    const named = findMentions(text, myName(), names).some(({ mention }) => mention === 'me')
    // Being named goes before what others say.
    if (latest?.named && !named) return
    latest = { named, text: t('chat.announced', { name: isBlankName(name) ? t('chat.nameless') : name, text: text.slice(0, longest) }) }
  })
  watch(waiting, (count) => {
    if (count > 0) timer ??= setTimeout(say, 500)
  })
  onScopeDispose(() => {
    stop()
    clearTimeout(timer)
  })
  return announcement
}
