import { describe, expect, it } from 'vitest'
import { findMentions, mentionOf } from './mentions'
import { isBlankName, KnownNames } from './names'

const known = new KnownNames()
for (const name of ['Ada', 'Ada Lovelace', '小明', 'Ötzi_9', 'x'.repeat(32)]) known.add(name)
const mentions = (text: string, me = 'Ben'): string[] =>
  findMentions(text, me, known).flatMap(({ text: part, mention }) => (mention ? [`${mention}:${part}`] : []))

describe('findMentions', () => {
  it.each([
    ['nobody', 'hello', []],
    ['oneself', 'hi @Ben!', ['me:@Ben']],
    ['oneself in other letters', '@BEN', ['me:@BEN']],
    ['the longest name', '@Ada Lovelace and @Ada', ['other:@Ada Lovelace', 'other:@Ada']],
    ['no part of a word', '@Adam @Bender', []],
    ['no address', 'mail me@ben', []],
    ['names beside Chinese words', '快看@小明你好', ['other:@小明']],
    ['a name with marks and digits', '@ötzi_9, come', ['other:@ötzi_9']],
    ['the longest name there can be', `@${'x'.repeat(32)} hi`, [`other:@${'x'.repeat(32)}`]],
    ['nobody unknown', '@Zoe', []],
    ['a lone sign', '@ @@ @', []],
  ])('finds %s', (_name, text, wanted) => {
    expect(mentions(text)).toEqual(wanted)
  })

  it('loses no character', () => {
    const text = '👩‍🚀 @Ben @Ada Lovelace @\u202Eabc\u200B @小明'
    expect(findMentions(text, 'Ben', known).map((span) => span.text).join('')).toBe(text)
  })

  it('does not look for people behind every one of many signs', () => {
    let asked = 0
    const has = (): boolean => asked++ < 0
    const text = '@'.repeat(500)
    expect(findMentions(text, 'Ben', { has })).toEqual([{ text }])
    expect(asked).toBeLessThanOrEqual(10 * 32)
    expect(mentions(`${'@Ben '.repeat(10)}@Ada`)).toHaveLength(10)
  })

  it('highlights nobody for a guest without a name', () => {
    expect(mentions('@ hello', '')).toEqual([])
  })

  it('finds who was answered', () => {
    expect(mentions(`${mentionOf(' Ada Lovelace ')}yes`)).toEqual(['other:@Ada Lovelace'])
  })
})

describe('KnownNames', () => {
  it('keeps the latest thousand', () => {
    const names = new KnownNames()
    for (let i = 0; i < 1_200; i++) names.add(`p${i}`)
    expect([names.has('p199'), names.has('p200'), names.has('p1199')]).toEqual([false, true, true])
  })
})

it.each([
  ['', true],
  ['  ', true],
  ['\u200B\u200D\u202E', true],
  ['\u3164', true],
  ['a\u200B', false],
  ['👻', false],
  ['王', false],
])('knows whether the name %j can be seen', (name, blank) => {
  expect(isBlankName(name)).toBe(blank)
})
