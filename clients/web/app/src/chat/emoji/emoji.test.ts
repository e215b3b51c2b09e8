import { describe, expect, it } from 'vitest'
import { groups, loadEmoji, searchEmoji, type Emoji } from './emoji'
import { layRows, stepIn } from './rows'

const emoji = (char: string, label: string, tags: string[] = []): Emoji => ({ char, label, tags, group: 'smileys' })
const some = (count: number): Emoji[] => Array.from({ length: count }, (_, i) => emoji(String(i), `e${i}`))

describe('loadEmoji', () => {
  it.each([
    ['en', 'cat face', 'grin'],
    ['zh', '猫脸', '开心'],
  ])('knows all emoji by their names in %s', async (locale, cat, word) => {
    const all = await loadEmoji(locale)
    expect(all.length).toBeGreaterThan(1_800)
    expect(new Set(all.map(({ group }) => group))).toEqual(new Set(groups))
    expect(searchEmoji(all, cat)[0]?.char).toContain('🐱')
    expect(searchEmoji(all, word).length).toBeGreaterThan(3)
  })
})

describe('searchEmoji', () => {
  const all = [emoji('1', 'red heart', ['love']), emoji('2', 'heart', []), emoji('3', 'smiling', ['heart', 'eyes']), emoji('4', 'dog')]
  it.each([
    ['the name itself first', 'Heart', '213'],
    ['every word', 'heart red', '1'],
    ['tags', 'lov', '1'],
    ['nothing', 'zebra', ''],
    ['all for no word', ' ', '1234'],
  ])('finds %s', (_name, query, wanted) => {
    expect(searchEmoji(all, query).map(({ char }) => char).join('')).toBe(wanted)
  })
})

describe('the grid', () => {
  const rows = layRows([{ part: 'recent', emoji: some(3) }, { part: 'smileys', emoji: some(10) }, { part: 'flags', emoji: [] }], 4)

  it('has a heading a part, and no empty part', () => {
    expect(rows.map((row) => (row.kind === 'head' ? row.part : row.emoji.length))).toEqual(['recent', 3, 'smileys', 4, 4, 2])
  })

  it.each<[string, number | undefined, Parameters<typeof stepIn>[2], number]>([
    ['begins at the first', undefined, 'down', 0],
    ['goes right', 0, 'right', 1],
    ['goes on in the next row', 2, 'right', 3],
    ['stops at the ends', 0, 'left', 0],
    ['stops at the ends', 12, 'right', 12],
    ['keeps the column', 3, 'down', 7],
    ['takes the last of a shorter row', 10, 'down', 12],
    ['goes up over a heading', 3, 'up', 0],
    ['takes the last of a shorter row above', 6, 'up', 2],
    ['stays in the last row', 11, 'down', 11],
    ['stays in the first row', 1, 'up', 1],
    ['jumps to the last', 1, 'last', 12],
    ['jumps to the first', 12, 'first', 0],
  ])('%s', (_name, at, step, wanted) => {
    expect(stepIn(rows, at, step)).toBe(wanted)
  })

  it('leads nowhere when it is empty', () => {
    expect(stepIn([], 0, 'down')).toBeUndefined()
  })
})
