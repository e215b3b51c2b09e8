import { onScopeDispose, watchEffect } from 'vue'

/** Keeps the document's title while the page is open. */
export function useTitle(title: () => string | undefined): void {
  watchEffect(() => {
    const text = title()
    document.title = text ? `${text} · Stoa` : 'Stoa'
  })
  onScopeDispose(() => (document.title = 'Stoa'))
}
