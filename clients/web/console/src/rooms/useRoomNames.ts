import type { Room } from '@gen/stoa/live/v1/live_pb'
import { shallowReactive } from 'vue'
import { admin } from '@console/api'

/** Rooms that the console has met, by their conversations: mutes name conversations only. */
const known = shallowReactive(new Map<string, Room>())
let asked: Promise<void> | undefined

export function learnRooms(rooms: Iterable<Room | undefined>): void {
  for (const room of rooms) if (room) known.set(room.conversationId, room)
}

export function useRoomNames() {
  asked ??= admin
    .listRooms({ pageSize: 100 })
    .then(({ items }) => learnRooms(items.map((item) => item.room)))
    .catch(() => void (asked = undefined))
  return { roomOf: (conversationId: string): Room | undefined => known.get(conversationId) }
}
