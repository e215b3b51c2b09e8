import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { Code, ConnectError, type Transport } from '@connectrpc/connect'
import type { Edge } from './edge'

const defaultTimeoutMs = 10_000

/**
 * Makes calls over the long connection while it is open and has room for them, else over HTTP. A call that is refused
 * for its token goes over HTTP as well, where the token is renewed.
 */
export function overEdge(edge: Pick<Edge, 'canCall' | 'call'>, http: Transport): Transport {
  return {
    stream: (...call) => http.stream(...call),
    async unary(method, signal, timeoutMs = defaultTimeoutMs, header, input, contextValues) {
      const byHttp = () => http.unary(method, signal, timeoutMs, header, input, contextValues)
      const request = toBinary(method.input, create(method.input, input))
      if (!edge.canCall(request.length)) return byHttp()
      try {
        const response = await edge.call(`/${method.parent.typeName}/${method.name}`, request, { signal, timeoutMs })
        const none = { header: new Headers(), trailer: new Headers() }
        return { stream: false, service: method.parent, method, message: fromBinary(method.output, response), ...none }
      } catch (error) {
        if (ConnectError.from(error).code === Code.Unauthenticated) return byHttp()
        throw error
      }
    },
  }
}
