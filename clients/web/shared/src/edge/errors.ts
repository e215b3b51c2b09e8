import { Code, ConnectError } from '@connectrpc/connect'
import { ErrorInfoSchema } from '@gen/google/rpc/error_details_pb'
import type { Error as Refusal } from '@gen/stoa/edge/v1/edge_pb'

const codes = Object.values(Code).filter((code) => typeof code === 'number')

/** A refusal of the connection, in the form that calls over HTTP fail with. */
export function refusalOf({ code, reason, message, metadata }: Pick<Refusal, 'code' | 'reason' | 'message' | 'metadata'>): ConnectError {
  const known = codes.find((one: number) => one === code) ?? Code.Unknown
  return new ConnectError(message, known, undefined, [{ desc: ErrorInfoSchema, value: { reason, domain: 'stoa', metadata } }])
}

/** What a request fails with whose connection was cut before the answer. */
export const cutOff = (): ConnectError => new ConnectError('the connection was cut', Code.Unavailable)
