import type { Transport } from '@connectrpc/connect'
import { watch } from 'vue'
import type { Reach } from '../api/reach'
import type { Session } from '../session/session'
import { EdgeConnection } from './connection'
import type { Edge } from './edge'
import { canUnpack } from './frames'
import { overEdge } from './transport'

export interface EdgeParts {
  session: Session
  transport: Transport
  reach: Reach
}

/** The long connection of this tab, which is always that of the session's user, and a transport that uses it. */
export function connectEdge({ session, transport, reach }: EdgeParts): { edge: Edge; transport: Transport } {
  const edge = new EdgeConnection({
    // The page's own host, by its own protocol; the token goes in the first frame, never into the address.
    openSocket: () => new WebSocket(`${location.origin.replace(/^http/, 'ws')}/edge/v1`, 'stoa.edge.v1'),
    accessToken: (refused) => session.accessToken(refused),
    acceptGzip: canUnpack(),
    onReach: (found) => (found ? reach.found() : reach.doubt()),
  })
  // Presence and rights are those of who signed in. At once: what is called next is called as somebody else.
  watch(() => session.user.value?.id, (now, before) => {
    if (before !== undefined && now !== before) edge.restart()
  }, { flush: 'sync' })
  return { edge, transport: overEdge(edge, transport) }
}
