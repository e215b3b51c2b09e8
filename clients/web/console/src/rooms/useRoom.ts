import { BroadcastState, type Broadcast, type Playback, type Room } from '@gen/stoa/live/v1/live_pb'
import { computed } from 'vue'
import { phaseOf } from '@stoa/shared/lib/broadcast'
import { live } from '@console/api'
import { useLoad } from '@console/lib/useLoad'
import { learnRooms } from './useRoomNames'

export interface RoomView {
  room: Room
  broadcast: Broadcast | undefined
}

/** One room as it is now: asked for now and then, and told by its conversation's events in between. */
export function useRoom(roomId: string) {
  const { data, error, reload, put } = useLoad<RoomView>(async (signal) => {
    const { room, broadcast } = await live.getRoom({ roomId }, { signal })
    if (!room) throw new Error('an answer without a room')
    learnRooms([room])
    return { room, broadcast }
  }, 5_000)

  return {
    data,
    error,
    reload,
    room: computed(() => data.value?.room),
    broadcast: computed(() => data.value?.broadcast),
    phase: computed(() => phaseOf(data.value?.broadcast)),
    broadcastState: computed(() => data.value?.broadcast?.state ?? BroadcastState.UNSPECIFIED),
    /** Addresses are signed for one connection, and for at once. */
    async takePlayback(): Promise<Playback | undefined> {
      return (await live.getRoom({ roomId })).playback
    },
    /** Takes over what an event told, ahead of the next reading. */
    apply(broadcast: Broadcast): void {
      if (data.value) put({ room: data.value.room, broadcast })
      void reload()
    },
  }
}

export type RoomHandle = ReturnType<typeof useRoom>
