import { fromBinary, toBinary, create } from '@bufbuild/protobuf'
import { Code, ConnectError, createClient, createRouterTransport } from '@connectrpc/connect'
import { ChatService, LikeRequestSchema, ListMessagesResponseSchema } from '@gen/stoa/chat/v1/chat_service_pb'
import { expect, it, vi } from 'vitest'
import type { Edge } from './edge'
import { overEdge } from './transport'

const { signal } = new AbortController()

function calls(answer: () => Promise<Uint8Array>, hasRoom = true) {
  const edge = { canCall: vi.fn(() => hasRoom), call: vi.fn<Edge['call']>(answer) }
  const byHttp = vi.fn(() => ({}))
  const http = createRouterTransport(({ service }) => service(ChatService, { like: byHttp, listMessages: byHttp }))
  return { edge, byHttp, chat: createClient(ChatService, overEdge(edge, http)) }
}

it('calls over the connection', async () => {
  const { edge, byHttp, chat } = calls(() => Promise.resolve(toBinary(ListMessagesResponseSchema, create(ListMessagesResponseSchema, { hasMore: true }))))
  const answer = await chat.listMessages({ conversationId: 'room' }, { signal, timeoutMs: 700 })
  expect(answer.hasMore).toBe(true)
  const [procedure, , options] = edge.call.mock.calls[0] ?? []
  expect(procedure).toBe('/stoa.chat.v1.ChatService/ListMessages')
  expect(options).toEqual({ signal, timeoutMs: 700 })
  await chat.like({ conversationId: 'room', count: 3 })
  expect(fromBinary(LikeRequestSchema, edge.call.mock.calls[1]?.[1] ?? new Uint8Array())).toMatchObject({ conversationId: 'room', count: 3 })
  expect(edge.call.mock.calls[1]?.[2]).toEqual({ signal: undefined, timeoutMs: 10_000 })
  expect(byHttp).not.toHaveBeenCalled()
})

it('calls over HTTP where the connection has no room, or its token is refused', async () => {
  const full = calls(() => Promise.reject(new Error('not to be called')), false)
  await full.chat.like({ conversationId: 'room', count: 1 })
  expect(full.byHttp).toHaveBeenCalledTimes(1)
  const refused = calls(() => Promise.reject(new ConnectError('expired', Code.Unauthenticated)))
  await refused.chat.like({ conversationId: 'room', count: 1 })
  expect(refused.byHttp).toHaveBeenCalledTimes(1)
})

it('does not repeat what may have happened', async () => {
  const { chat, byHttp } = calls(() => Promise.reject(new ConnectError('cut', Code.Unavailable)))
  await expect(chat.like({ conversationId: 'room', count: 1 })).rejects.toMatchObject({ code: Code.Unavailable })
  expect(byHttp).not.toHaveBeenCalled()
})
