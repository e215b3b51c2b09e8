interface Tree {
  [key: string]: string | Tree
}

function leaves(tree: Tree, path = ''): [string, string][] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const own = path ? `${path}.${key}` : key
    return typeof value === 'string' ? [[own, value] as [string, string]] : leaves(value, own)
  })
}
const slots = (text: string): string => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort().join(' ')

/** What two languages do not say alike: keys that one of them lacks, other slots, empty sentences. For tests. */
export function differences(en: object, zh: object): string[] {
  const [english, chinese] = [new Map(leaves(en as Tree)), new Map(leaves(zh as Tree))]
  const found: string[] = []
  for (const [key, text] of english) {
    const other = chinese.get(key)
    if (other === undefined) found.push(`${key} is missing in Chinese`)
    else if (slots(text) !== slots(other)) found.push(`${key} has other slots: ${slots(text)} / ${slots(other)}`)
    if (text.trim() === '' || other?.trim() === '') found.push(`${key} is empty`)
  }
  for (const key of chinese.keys()) if (!english.has(key)) found.push(`${key} is missing in English`)
  return found
}
