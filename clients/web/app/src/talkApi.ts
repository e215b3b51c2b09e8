/** What only pages with talk need: the long connection of this tab, and the services that are called over it. */
import { createClient } from '@connectrpc/connect'
import { ChatService } from '@gen/stoa/chat/v1/chat_service_pb'
import { connectEdge } from '@stoa/shared/edge/connectEdge'
import { reach, session, transport } from './api'

const connection = connectEdge({ session, transport, reach })

export const { edge } = connection
export const chat = createClient(ChatService, connection.transport)
