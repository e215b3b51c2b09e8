import { Code, ConnectError, createClient, createRouterTransport } from '@connectrpc/connect'
import { ErrorInfoSchema } from '@gen/google/rpc/error_details_pb'
import { SiteService } from '@gen/stoa/site/v1/site_service_pb'
import { describe, expect, it } from 'vitest'
import { watchReach } from './reach'

function server(answer: () => object) {
  const reach = watchReach()
  const transport = createRouterTransport(({ service }) => service(SiteService, { getSite: () => answer() }), {
    transport: { interceptors: [reach.interceptor] },
  })
  return { reach, call: () => createClient(SiteService, transport).getSite({}).catch(() => undefined) }
}

describe('watchReach', () => {
  it.each([
    ['no server', new ConnectError('failed to fetch', Code.Unknown), true],
    ['a gateway without a server', new ConnectError('bad gateway', Code.Unavailable), true],
    ['a slow server', new ConnectError('late', Code.DeadlineExceeded), true],
    ['a refusal', new ConnectError('no', Code.PermissionDenied), false],
    [
      'a server that stops',
      new ConnectError('no', Code.Unavailable, undefined, [{ desc: ErrorInfoSchema, value: { reason: 'DRAINING', domain: 'stoa' } }]),
      false,
    ],
  ])('takes %s for what it is', async (_name, failure, isLost) => {
    const { reach, call } = server(() => {
      throw failure
    })
    await call()
    expect(reach.isLost.value).toBe(isLost)
  })

  it('knows the server again by the first answer', async () => {
    let down = true
    const { reach, call } = server(() => {
      if (down) throw new ConnectError('away', Code.Unavailable)
      return {}
    })
    await call()
    expect(reach.isLost.value).toBe(true)
    down = false
    await call()
    expect(reach.isLost.value).toBe(false)
  })
})
