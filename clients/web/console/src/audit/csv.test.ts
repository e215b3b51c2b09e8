import { describe, expect, it } from 'vitest'
import { csvField, csvFile, csvRow } from './csv'

describe('csvField', () => {
  it.each([
    ['plain words', 'plain words'],
    ['', ''],
    ['a,b', '"a,b"'],
    ['he said "no"', '"he said ""no"""'],
    ['two\nlines', '"two\nlines"'],
    ['two\r\nlines', '"two\r\nlines"'],
    ['封禁，永久', '封禁，永久'],
    ['a-b=c', 'a-b=c'],
  ])('writes %j', (value, wanted) => {
    expect(csvField(value)).toBe(wanted)
  })

  it.each([
    '=1+1', '+1', '-1', '@SUM(A1)', '=HYPERLINK("http://evil","x")', '\t=1', '\r=1', '\n=1', '  =cmd|calc', '＝1+1', '＠x', '\u00a0=1',
  ])('makes no formula of %j', (value) => {
    const field = csvField(value)
    expect(field.startsWith('"\'')).toBe(true)
    // Nothing is lost: without the quoting and the apostrophe it is the same.
    expect(field.slice(2, -1).replaceAll('""', '"')).toBe(value)
  })
})

it('ends rows as the standard says', () => {
  expect(csvRow(['a', 'b,c'])).toBe('a,"b,c"\r\n')
})

it('begins a file with the mark that Excel wants', () => {
  expect(csvFile(['time'], [['1'], ['2']]).join('')).toBe('\uFEFFtime\r\n1\r\n2\r\n')
})
