import { BroadcastState, type Broadcast } from '@gen/stoa/live/v1/live_pb'

/** Where a room stands, as its viewers see it. */
export type RoomPhase = 'offline' | 'starting' | 'live' | 'interrupted' | 'ended'

const phases: Record<BroadcastState, RoomPhase> = {
  [BroadcastState.UNSPECIFIED]: 'offline',
  [BroadcastState.STARTING]: 'starting',
  [BroadcastState.LIVE]: 'live',
  [BroadcastState.INTERRUPTED]: 'interrupted',
  [BroadcastState.ENDED]: 'ended',
}

export function phaseOf(broadcast: Broadcast | undefined): RoomPhase {
  // A state that a newer server knows and this page does not reads as no broadcast.
  return (phases as Partial<Record<BroadcastState, RoomPhase>>)[broadcast?.state ?? 0] ?? 'offline'
}

/** True while viewers are served: live, or waiting for the streamer to return. */
export function isOnAir(broadcast: Broadcast | undefined): boolean {
  return broadcast?.state === BroadcastState.LIVE || broadcast?.state === BroadcastState.INTERRUPTED
}
