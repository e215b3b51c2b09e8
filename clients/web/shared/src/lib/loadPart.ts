/** A part of the app that did not load: the server was away, or has another version by now. */
export class PartMissing extends Error {}

/** Stylesheets that did not load. The build's own loader asks for each of them once only. */
const deadStyles = new Set<HTMLLinkElement>()

if (typeof document !== 'undefined') {
  // Such an event does not bubble.
  document.addEventListener('error', ({ target }) => {
    if (target instanceof HTMLLinkElement && target.rel === 'stylesheet') deadStyles.add(target)
  }, true)
}

/** Asks once more for the stylesheets that did not load: without them the next attempt would show a part that is bare. */
async function mendStyles(): Promise<void> {
  const dead = [...deadStyles]
  deadStyles.clear()
  await Promise.all(dead.map((link) => new Promise((resolve, reject) => {
    const again = link.cloneNode() as HTMLLinkElement
    again.addEventListener('load', resolve)
    again.addEventListener('error', () => reject(new PartMissing(`no stylesheet ${link.href}`)))
    link.replaceWith(again)
  })))
}

/** Loads a part of the app; whatever stands in its way is a PartMissing. */
export async function loadPart<T>(load: () => Promise<T>): Promise<T> {
  try {
    await mendStyles()
    return await load()
  } catch (error) {
    throw error instanceof PartMissing ? error : new PartMissing('a part of the app did not load', { cause: error })
  }
}
