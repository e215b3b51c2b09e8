import type { CompactEmoji } from 'emojibase'

export interface Emoji {
  char: string
  label: string
  tags: readonly string[]
  group: Group
}

/** The groups of emojibase in its order; a hole is what nobody picks by itself (skin tones). */
const groupsByNumber = ['smileys', 'people', undefined, 'animals', 'food', 'travel', 'activities', 'objects', 'symbols', 'flags'] as const
export type Group = NonNullable<(typeof groupsByNumber)[number]>
export const groups: readonly Group[] = groupsByNumber.filter((group) => group !== undefined)

const load: Record<string, () => Promise<{ default: readonly CompactEmoji[] }>> = {
  en: () => import('emojibase-data/en/compact.json'),
  zh: () => import('emojibase-data/zh/compact.json'),
}
const loaded = new Map<string, Promise<readonly Emoji[]>>()

/** All emoji with their names in a language, loaded once. */
export function loadEmoji(locale: string): Promise<readonly Emoji[]> {
  const known = loaded.get(locale)
  if (known) return known
  const list = (load[locale] ?? load.en)?.().then((file) => inOrder(file.default)) ?? Promise.resolve([])
  loaded.set(locale, list)
  // A failure is not kept: the next one to ask tries again.
  list.catch(() => loaded.delete(locale))
  return list
}

export function inOrder(list: readonly CompactEmoji[]): Emoji[] {
  return list
    .flatMap(({ unicode, label, tags, group, order }) => {
      const name = group === undefined ? undefined : groupsByNumber[group]
      return name ? [{ char: unicode, label, tags: tags ?? [], group: name, order: order ?? 0 }] : []
    })
    .sort((a, b) => a.order - b.order)
    .map(({ char, label, tags, group }) => ({ char, label, tags, group }))
}

/** Emoji whose name or tags have every word of the query; those whose name begins with it come first. */
export function searchEmoji(all: readonly Emoji[], query: string): Emoji[] {
  const wanted = query.trim().toLowerCase()
  const words = wanted.split(/\s+/).filter(Boolean)
  if (words.length === 0) return [...all]
  const rank = ({ label, tags, char }: Emoji): number => {
    const name = label.toLowerCase()
    if (char === wanted || name === wanted) return 0
    if (name.startsWith(wanted)) return 1
    if (words.every((word) => name.includes(word))) return 2
    if (tags.some((tag) => tag.toLowerCase() === wanted)) return 3
    return words.every((word) => name.includes(word) || tags.some((tag) => tag.toLowerCase().includes(word))) ? 4 : 5
  }
  return all
    .map((emoji) => ({ emoji, rank: rank(emoji) }))
    .filter((found) => found.rank < 5)
    .sort((a, b) => a.rank - b.rank)
    .map(({ emoji }) => emoji)
}
