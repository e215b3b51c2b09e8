import { useI18n } from 'vue-i18n'

/** Names of acts; one that a newer server knows and this page does not is shown as the server writes it. */
export function useActionWords() {
  const i18n = useI18n()
  return (action: string): string => {
    const key = `audit.actions.${action.replace(/\.$/, '').replace('.', '_')}`
    return i18n.te(key, 'en') ? i18n.t(key as 'audit.actions.user') : action
  }
}
