const key = 'stoa.emoji'
const most = 24

/** The emoji that this browser used last, newest first. */
export function recentEmoji(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(key) ?? '[]')
    return Array.isArray(stored) ? stored.filter((char) => typeof char === 'string').slice(0, most) : []
  } catch {
    return []
  }
}

export function rememberEmoji(char: string): void {
  try {
    localStorage.setItem(key, JSON.stringify([char, ...recentEmoji().filter((other) => other !== char)].slice(0, most)))
  } catch {
    // Without a memory there are no recent ones.
  }
}
