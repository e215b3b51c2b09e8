import type { Broadcast, Room } from '@gen/stoa/live/v1/live_pb'
import { ref, shallowRef } from 'vue'
import { live, session } from '@app/api'
import { newId } from '@stoa/shared/lib/ids'
import { usePolling } from '@stoa/shared/lib/usePolling'

const refreshMs = 10_000

export interface OwnRoom {
  room: Room
  broadcast?: Broadcast
}

/** The caller's own rooms, and how to open one. */
export function useOwnRooms() {
  const rooms = shallowRef<readonly OwnRoom[]>([])
  const status = ref<'loading' | 'ready' | 'error'>('loading')
  const error = shallowRef<unknown>()
  // One wish, one room: a repeated call after a lost answer returns the room that the first one made.
  let requestId = newId()

  async function load(): Promise<void> {
    const ownerId = session.user.value?.id
    if (!ownerId) return
    try {
      const { items } = await live.listRooms({ ownerId, pageSize: 100 })
      // The order of their making, which does not jump with the viewers.
      rooms.value = items
        .flatMap(({ room, broadcast }) => (room ? [{ room, broadcast }] : []))
        .sort((a, b) => (a.room.id < b.room.id ? -1 : 1))
      status.value = 'ready'
      error.value = undefined
    } catch (failure) {
      error.value = failure
      // What was there before is better than nothing.
      if (status.value === 'loading') status.value = 'error'
    }
  }
  const reload = usePolling(load, refreshMs)

  /** Puts a room in place of what was known of it. */
  function put(room: Room): void {
    const known = rooms.value.some((own) => own.room.id === room.id)
    rooms.value = known
      ? rooms.value.map((own) => (own.room.id === room.id ? { ...own, room } : own))
      : [...rooms.value, { room }]
  }

  async function create(title: string, categoryId: string): Promise<Room | undefined> {
    const { room } = await live.createRoom({ title, categoryId, requestId })
    requestId = newId()
    if (!room) return undefined
    // Whoever opens a room wants to go live; where this fails, the studio has a button for it.
    await live.issueStreamKey({ roomId: room.id }).catch(() => undefined)
    put(room)
    return room
  }

  return { rooms, status, error, reload, create, put }
}
