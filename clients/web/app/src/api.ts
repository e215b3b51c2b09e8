/** The server's services as this app calls them. */
import { createClient } from '@connectrpc/connect'
import { AuthService } from '@gen/stoa/auth/v1/auth_service_pb'
import { LiveService } from '@gen/stoa/live/v1/live_service_pb'
import { SiteService } from '@gen/stoa/site/v1/site_service_pb'
import { connect } from '@stoa/shared/api/connect'

const { session, transport, reach } = connect({ guests: true })

/** `transport` is for what only some pages call: their clients are made where they are loaded. */
export { reach, session, transport }
export const auth = createClient(AuthService, transport)
export const live = createClient(LiveService, transport)
export const site = createClient(SiteService, transport)
