import { Code, ConnectError } from '@connectrpc/connect'
import { ErrorInfoSchema } from '@gen/google/rpc/error_details_pb'
import { describe, expect, it } from 'vitest'
import { en } from './en'
import { differences } from './sameWords'
import { errorWord } from './useErrorText'
import { zh } from './zh'

describe('the languages', () => {
  it('say the same things, with the same slots', () => {
    expect(differences(en, zh)).toEqual([])
  })

  it('are found out when they do not', () => {
    expect(differences({ a: 'x {n}', b: 'y', c: ' ' }, { a: 'x {m}', c: 'z', d: 'w' })).toHaveLength(4)
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
