import { readonly, ref } from 'vue'

const token = ref('')

/**
 * Takes the one-time token out of the address that the server printed (/admin/setup#token), so that it stays neither on
 * the screen nor in the browser's history. It is kept for as long as the page is open.
 */
export function takeSetupToken(): void {
  const { pathname, search, hash } = location
  if (!/\/setup\/?$/.test(pathname) || hash.length < 2) return
  // As it stands: the token has no letters that an address would write differently.
  token.value = hash.slice(1)
  history.replaceState(history.state, '', pathname + search)
}

export const setupToken = readonly(token)
export const forgetSetupToken = (): void => void (token.value = '')
