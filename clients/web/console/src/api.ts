/** The server's services as the console calls them, with a session of its own: the app's does not open the console. */
import { createClient } from '@connectrpc/connect'
import { AdminService } from '@gen/stoa/admin/v1/admin_service_pb'
import { AuthService } from '@gen/stoa/auth/v1/auth_service_pb'
import { LiveService } from '@gen/stoa/live/v1/live_service_pb'
import { SiteService } from '@gen/stoa/site/v1/site_service_pb'
import { createConnectTransport } from '@connectrpc/connect-web'
import { connect } from '@stoa/shared/api/connect'

const { session, transport, reach } = connect({ scope: 'console.', guests: false })
/** For what is asked before anybody has signed in. */
const open = createConnectTransport({ baseUrl: location.origin, useBinaryFormat: true, defaultTimeoutMs: 10_000, interceptors: [reach.interceptor] })

export { reach, session, transport }
export const admin = createClient(AdminService, transport)
export const auth = createClient(AuthService, transport)
export const live = createClient(LiveService, transport)
export const site = createClient(SiteService, open)
export const setup = createClient(AuthService, open)
