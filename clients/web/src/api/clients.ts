/**
 * The one place where this app meets the server: generated clients on the page's own origin, and the session whose
 * token they send.
 */
import { createClient } from '@connectrpc/connect'
import { createConnectTransport } from '@connectrpc/connect-web'
import { AuthService } from '@gen/stoa/auth/v1/auth_service_pb'
import { ChatService } from '@gen/stoa/chat/v1/chat_service_pb'
import { LiveService } from '@gen/stoa/live/v1/live_service_pb'
import { createSession } from '@/session/session'
import { tabLock } from '@/session/lock'
import { browserStore, SESSION_KEY } from '@/session/record'
import { authInterceptor } from './interceptor'

const APP_VERSION = '0.1.0'

const common = { baseUrl: location.origin, useBinaryFormat: true, defaultTimeoutMs: 10_000 }
const store = browserStore()

export const session = createSession({
  auth: createClient(AuthService, createConnectTransport(common)),
  store,
  lock: tabLock(store),
  device: { model: deviceModel(), appVersion: APP_VERSION },
})

const transport = createConnectTransport({
  ...common,
  interceptors: [authInterceptor((refused) => session.accessToken(refused))],
})

export const auth = createClient(AuthService, transport)
export const chat = createClient(ChatService, transport)
export const live = createClient(LiveService, transport)

window.addEventListener('storage', (event) => {
  if (event.key === SESSION_KEY || event.key === null) session.reload()
})

/** A name by which the owner recognises this browser in a list of devices, at most 64 characters. */
function deviceModel(): string {
  const agent = navigator.userAgent
  const browser = /(Firefox|Edg|OPR|Chrome|Safari)\/\d+/.exec(agent)?.[0].replace('/', ' ') ?? 'Browser'
  const system = /Windows|Android|iPhone|iPad|Mac OS X|Linux/.exec(agent)?.[0] ?? ''
  return `${browser} ${system}`.trim().slice(0, 64)
}
