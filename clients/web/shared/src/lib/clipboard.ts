/** Copies text; says whether it worked. Plain http has no clipboard API, so the old command stands in there. */
export async function copyText(text: string): Promise<boolean> {
  try {
    if (window.isSecureContext) {
      await navigator.clipboard.writeText(text)
      return true
    }
  } catch {
    // Refused by the browser: the old command may still be allowed.
  }
  // Selecting takes the focus along, and whoever copied by the keyboard would begin at the top of the page again.
  const focused = document.activeElement instanceof HTMLElement ? document.activeElement : document.body
  const area = document.createElement('textarea')
  area.value = text
  area.className = 'visually-hidden'
  // A dialog lets nothing outside of it have the focus.
  const host = focused === document.body ? focused : (focused.parentElement ?? document.body)
  host.append(area)
  area.select()
  try {
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way without a secure context
    return document.execCommand('copy')
  } finally {
    area.remove()
    focused.focus({ preventScroll: true })
  }
}
