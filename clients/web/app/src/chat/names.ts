const mostNames = 1_000

/** Invisible characters and spaces: what a name may have and nobody sees. */
const unseen = /[\p{C}\p{Z}\p{M}\u115F\u1160\u2800\u3164\uFFA0]/gu

/** True for a name that shows nothing. */
export const isBlankName = (name: string | undefined): boolean => (name ?? '').replace(unseen, '') === ''

/** How names are compared. */
export const fold = (name: string): string => name.trim().toLowerCase()

/** The names of those who wrote last, so that mentions of them are found; bounded. */
export class KnownNames {
  private readonly names = new Set<string>()

  add(name: string | undefined): void {
    const folded = fold(name ?? '')
    if (folded === '') return
    // The latest are kept: a set remembers the order in which they came.
    this.names.delete(folded)
    this.names.add(folded)
    if (this.names.size > mostNames) for (const oldest of this.names) return void this.names.delete(oldest)
  }

  has(folded: string): boolean {
    return this.names.has(folded)
  }
}
