import { describe, expect, it } from 'vitest'
import { isolated, lineOf, MAX_GRAPHEMES } from './text'

describe('lineOf', () => {
  it.each([
    ['keeps plain text', 'hello, world', 'hello, world'],
    ['keeps Chinese', '主播好！', '主播好！'],
    ['makes one line of many', '  a\n\n b\t\u2028c \u3000 ', 'a b c'],
    ['drops control characters', 'a\u0000b\u0007c\u009bd', 'abcd'],
    ['drops what turns the direction', '\u202eabc\u2066\u200f', 'abc'],
    ['drops zero-width characters', 'a\u200bb\ufeffc\u00add', 'abcd'],
    ['shows markup as it is', '<b onclick="x">&amp;', '<b onclick="x">&amp;'],
    ['keeps a family of emoji', '👨‍👩‍👧‍👦!', '👨‍👩‍👧‍👦!'],
    ['keeps flags and skins', '🇨🇳👍🏽🏴󠁧󠁢󠁥󠁮󠁧󠁿', '🇨🇳👍🏽🏴󠁧󠁢󠁥󠁮󠁧󠁿'],
    ['keeps the non-joiner of Persian', 'می\u200cخواهم', 'می\u200cخواهم'],
    ['keeps Hindi whole', 'क्षत्रिय', 'क्षत्रिय'],
    ['has nothing to show of joiners alone', '\u200d\u200d\u200c', ''],
    ['has nothing to show of blank letters', '\u3164\u2800\u115f', ''],
    ['has nothing to show of marks alone', '\u0301\u0302', ''],
  ])('%s', (_name, text, wanted) => expect(lineOf(text)).toBe(wanted))

  it('cuts by letters as readers count them', () => {
    const family = '👨‍👩‍👧‍👦'
    expect(lineOf(family.repeat(MAX_GRAPHEMES))).toBe(family.repeat(MAX_GRAPHEMES))
    expect(lineOf(family.repeat(MAX_GRAPHEMES + 1))).toBe(`${family.repeat(MAX_GRAPHEMES)}…`)
    expect(lineOf('a'.repeat(10_000))).toBe(`${'a'.repeat(MAX_GRAPHEMES)}…`)
  })

  it('takes heaps of marks down', () => {
    const line = lineOf(`Z${'\u0336\u0310\u0301'.repeat(60)}a`)
    expect(line.startsWith('Z')).toBe(true)
    expect(line.endsWith('a')).toBe(true)
    expect(line.length).toBeLessThan(10)
  })

  it('ends in time whatever comes', () => {
    expect(lineOf('\u200d'.repeat(500))).toBe('')
    expect(lineOf(`a${'\u200d👨'.repeat(250)}`).length).toBeLessThan(3_000)
  })
})

describe('isolated', () => {
  it('keeps a line apart in its own direction', () => expect(isolated('שלום')).toBe('\u2068שלום\u2069'))

  it('asks for colour, and leaves sequences whole', () => {
    expect(isolated('a😂1')).toBe('\u2068a😂\ufe0f1\u2069')
    expect(isolated('👍🏽🇨🇳')).toBe('\u2068👍🏽🇨🇳\u2069')
  })
})
