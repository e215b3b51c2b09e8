import { Code, ConnectError, type Interceptor } from '@connectrpc/connect'

/**
 * Sends the access token with every call. A unary call that is refused for its token is sent once more with a renewed
 * one; a stream is not, since only its reader knows where to go on.
 */
export function authInterceptor(accessToken: (refused?: string) => Promise<string>): Interceptor {
  return (next) => async (request) => {
    const token = await accessToken()
    request.header.set('Authorization', `Bearer ${token}`)
    if (request.stream) return next(request)
    try {
      return await next(request)
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unauthenticated) throw error
      request.header.set('Authorization', `Bearer ${await accessToken(token)}`)
      return next(request)
    }
  }
}
