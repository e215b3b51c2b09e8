import { Code, ConnectError } from '@connectrpc/connect'
import { ErrorInfoSchema } from '@gen/google/rpc/error_details_pb'
import { describe, expect, it } from 'vitest'
import { en } from './en'
import { errorWord } from './useErrorText'
import { zh } from './zh'

interface Tree {
  [key: string]: string | Tree
}

function leaves(tree: Tree, path = ''): [string, string][] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const own = path ? `${path}.${key}` : key
    return typeof value === 'string' ? [[own, value] as [string, string]] : leaves(value, own)
  })
}
const slots = (text: string): string[] => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort()

describe('the languages', () => {
  it('say the same things, with the same slots', () => {
    const chinese = new Map(leaves(zh))
    expect([...chinese.keys()].sort()).toEqual(leaves(en).map(([key]) => key).sort())
    for (const [key, text] of leaves(en)) expect([key, slots(chinese.get(key) ?? '')]).toEqual([key, slots(text)])
  })

  it('leave nothing empty', () => {
    for (const [key, text] of [...leaves(en), ...leaves(zh)]) expect(text.trim(), key).not.toBe('')
  })
})

describe('errorWord', () => {
  const failure = (code: Code, reason: string, domain = 'stoa'): ConnectError =>
    new ConnectError('', code, undefined, [{ desc: ErrorInfoSchema, value: { reason, domain } }])

  it.each([
    ['a known reason', failure(Code.AlreadyExists, 'USERNAME_TAKEN'), 'USERNAME_TAKEN'],
    ['a reason that is not known here', failure(Code.PermissionDenied, 'SOMETHING_NEW'), 'FORBIDDEN'],
    ['a reason of somebody else', failure(Code.Internal, 'USERNAME_TAKEN', 'other'), 'INTERNAL'],
    ['a server that is away', new TypeError('Failed to fetch'), 'UNAVAILABLE'],
    ['a code alone', new ConnectError('', Code.Unauthenticated), 'UNAUTHENTICATED'],
  ])('finds the sentence of %s', (_name, error, wanted) => {
    expect(errorWord(error)).toBe(wanted)
  })
})
