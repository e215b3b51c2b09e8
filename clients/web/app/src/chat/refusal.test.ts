import { create } from '@bufbuild/protobuf'
import { Code, ConnectError } from '@connectrpc/connect'
import { ErrorInfoSchema } from '@gen/google/rpc/error_details_pb'
import { expect, it } from 'vitest'
import { isRefusal } from './refusal'

const failure = (code: Code, reason?: string): ConnectError =>
  new ConnectError('', code, undefined, reason === undefined ? [] : [{ desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { domain: 'stoa', reason }) }])

it.each([
  ['nothing', undefined, false],
  ['too many pages', failure(Code.ResourceExhausted, 'TOO_MANY_SESSIONS'), true],
  ['a right that is missing', failure(Code.PermissionDenied, 'FORBIDDEN'), true],
  ['a server that stops', failure(Code.Unavailable, 'DRAINING'), false],
  ['a server that is away', failure(Code.Unknown), false],
  ['a session that ended', failure(Code.Unauthenticated, 'SESSION_REVOKED'), false],
])('knows %s', (_name, error, wanted) => {
  expect(isRefusal(error)).toBe(wanted)
})
