import { onScopeDispose, ref, watchEffect } from 'vue'

/** What the installation is called, for every title. */
const siteName = ref('Stoa')

/** Names the installation in the titles of all pages. */
export function nameSite(name: string): void {
  siteName.value = name
}

/** Keeps the document's title while the page is open. */
export function useTitle(title: () => string | undefined): void {
  watchEffect(() => {
    const text = title()
    document.title = text ? `${text} · ${siteName.value}` : siteName.value
  })
  onScopeDispose(() => (document.title = siteName.value))
}
