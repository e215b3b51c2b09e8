import type { ConnectError } from '@connectrpc/connect'
import type { Entered, Event } from '@gen/stoa/edge/v1/edge_pb'

/** What somebody in a room is told by the connection. */
export interface RoomListener {
  /**
   * The connection is open. When the session was `resumed` the room is still entered, and every event since the cut
   * comes; otherwise it is to be entered, and what was missed is to be read. `atMs` is the server's time, ms since 1970.
   */
  onSignedIn(resumed: boolean, atMs: number): void
  /** The connection was cut and comes back by itself. `failure` is why, where the server said so. */
  onCut(failure?: ConnectError): void
  /** The connection has ended and comes back only when somebody asks for it. */
  onEnded(failure: ConnectError): void
  /** What happened in the room. */
  onEvent(event: Event): void
}

/** One follower's place in a room. */
export interface Room {
  /** Enters the room, also again. Throws a ConnectError when that was refused or the connection was cut. */
  enter(): Promise<Entered>
  /** Gives the place up; the room is left with the last one. */
  leave(): void
}

export interface CallOptions {
  signal?: AbortSignal
  /** How long to wait, in milliseconds. */
  timeoutMs: number
}

/** The long connection of one tab. It is open while somebody is in a room. */
export interface Edge {
  /** Takes a place in a room and tells the listener of the connection from now on. */
  join(conversationId: string, options: { unseen: boolean }, listener: RoomListener): Room
  /** True while a call with a request of so many bytes can be made. */
  canCall(bytes: number): boolean
  /** One unary RPC, in protobuf's binary form. Throws a ConnectError; UNAVAILABLE when the connection was cut. */
  call(procedure: string, request: Uint8Array, options: CallOptions): Promise<Uint8Array>
  /** Opens the connection again where it has ended, or as somebody else. What it had is given up. */
  restart(): void
}
