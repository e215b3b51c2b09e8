/**
 * The one place where the apps meet the server: generated clients on the page's own origin, and the session whose token
 * they send.
 */
import { createClient, type Transport } from '@connectrpc/connect'
import { createConnectTransport } from '@connectrpc/connect-web'
import { AuthService } from '@gen/stoa/auth/v1/auth_service_pb'
import { tabLock } from '../session/lock'
import { browserStore, scopedStore, SESSION_KEY } from '../session/record'
import { createSession, type Session } from '../session/session'
import { deviceModel } from './deviceModel'
import { authInterceptor } from './interceptor'
import { watchReach, type Reach } from './reach'

const APP_VERSION = '0.1.0'

export interface ConnectOptions {
  /** Keeps this app's session apart from those of others on the same origin; empty for the app itself. */
  scope?: string
  /** Whether the app goes on as a guest where nobody is signed in. */
  guests: boolean
}

/** The session of this browser in one app, the transport whose calls carry its token, and whether the server answers. */
export function connect({ scope = '', guests }: ConnectOptions): { session: Session; transport: Transport; reach: Reach } {
  const reach = watchReach()
  const common = { baseUrl: location.origin, useBinaryFormat: true, defaultTimeoutMs: 10_000, interceptors: [reach.interceptor] }
  const store = scopedStore(browserStore(), scope)
  const session = createSession({
    auth: createClient(AuthService, createConnectTransport(common)),
    store,
    lock: tabLock(store),
    device: { model: deviceModel(navigator.userAgent), appVersion: APP_VERSION },
    guests,
  })
  window.addEventListener('storage', (event) => {
    if (event.key === null || event.key === scope + SESSION_KEY) session.reload()
  })
  const transport = createConnectTransport({
    ...common,
    interceptors: [authInterceptor((refused) => session.accessToken(refused)), reach.interceptor],
  })
  return { session, transport, reach }
}
