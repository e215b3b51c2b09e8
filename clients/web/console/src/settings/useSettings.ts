import { computed, reactive, watch } from 'vue'
import { useI18n } from 'vue-i18n'
import { nameSite } from '@stoa/shared/lib/useTitle'
import { admin, site } from '@console/api'
import { ask } from '@console/act/ask'
import { useLoad } from '@console/lib/useLoad'
import { changed, follow, formOf, maskNames, type SiteField, type SiteForm } from './changes'

/** The site's settings: what the server has, and what the reader wants. */
export function useSettings() {
  const { t } = useI18n()
  const form = reactive<SiteForm>({ name: '', announcement: '', signUpEnabled: true, roomCreationEnabled: true })
  const { data: saved, error, reload, put } = useLoad(async (signal) => {
    const { site: answer } = await site.getSite({}, { signal })
    if (!answer) throw new Error('an answer without settings')
    return formOf(answer)
  }, 15_000)

  watch(saved, (now, before) => {
    if (now) Object.assign(form, before ? follow(before, now, form) : now)
    if (now) nameSite(now.name)
  })

  const changes = computed(() => (saved.value ? changed(saved.value, form) : []))

  /** A change as a sentence, for the question and for what is said after. */
  function words(field: SiteField): string {
    if (field === 'name') return t('settings.changes.name', { name: form.name.trim() })
    if (field === 'announcement') return form.announcement.trim() ? t('settings.changes.announcement') : t('settings.changes.noAnnouncement')
    return t(`settings.changes.${field}${form[field] ? 'On' : 'Off'}`)
  }

  function save(): Promise<boolean> {
    const wanted = changes.value
    const said = wanted.map(words)
    return ask({
      name: 'site', title: t('settings.ask'), quote: said.join('\n'), text: t('settings.everyone'), confirm: t('action.save'),
      async run() {
        const values = { ...form, name: form.name.trim(), announcement: form.announcement.trim() }
        const answer = await admin.updateSite({ site: values, updateMask: { paths: wanted.map((field) => maskNames[field]) } })
        if (answer.site) {
          Object.assign(form, formOf(answer.site))
          put(formOf(answer.site))
        }
        return t('settings.done')
      },
    })
  }
  function discard(): void {
    if (saved.value) Object.assign(form, saved.value)
  }

  return { form, saved, error, changes, reload, save, discard }
}
