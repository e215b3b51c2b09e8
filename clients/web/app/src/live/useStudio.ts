import type { Broadcast, Room, StreamStats } from '@gen/stoa/live/v1/live_pb'
import type { IssueStreamKeyResponse } from '@gen/stoa/live/v1/live_service_pb'
import { computed, ref, shallowReactive, shallowRef } from 'vue'
import { errorReason } from '@stoa/shared/api/errors'
import { live, session } from '@app/api'
import { newId } from '@stoa/shared/lib/ids'
import { usePolling } from '@stoa/shared/lib/usePolling'
import { isOnAir, phaseOf } from '@stoa/shared/lib/broadcast'

const pollMs = 2_000

/** The server shows a key once; this page remembers it until it is left for good, and stores it nowhere. */
const issuedKeys = shallowReactive(new Map<string, IssueStreamKeyResponse>())

/** The caller's own rooms, and how to open one. */
export function useOwnRooms() {
  const rooms = shallowRef<readonly Room[]>([])
  const status = ref<'loading' | 'ready' | 'error'>('loading')
  const error = shallowRef<unknown>()
  // One wish, one room: a repeated call after a lost answer returns the room that the first one made.
  let requestId = newId()

  async function load(): Promise<void> {
    const ownerId = session.user.value?.id
    if (!ownerId) return
    try {
      const { items } = await live.listRooms({ ownerId, pageSize: 100 })
      rooms.value = items.flatMap(({ room }) => (room ? [room] : []))
      status.value = 'ready'
      error.value = undefined
    } catch (failure) {
      error.value = failure
      status.value = 'error'
    }
  }

  async function create(title: string, categoryId: string): Promise<Room | undefined> {
    const { room } = await live.createRoom({ title, categoryId, requestId })
    requestId = newId()
    if (room) {
      rooms.value = [room, ...rooms.value.filter(({ id }) => id !== room.id)]
      issuedKeys.set(room.id, await live.issueStreamKey({ roomId: room.id }))
    }
    return room
  }

  void load()
  return { rooms, status, error, load, create }
}

/** One own room before, during and after a broadcast: its key, its state, and what arrives from the encoder. */
export function useStudio(roomId: string) {
  const broadcast = shallowRef<Broadcast>()
  const stats = shallowRef<StreamStats>()
  const error = shallowRef<unknown>()

  async function poll(): Promise<void> {
    try {
      broadcast.value = (await live.getRoom({ roomId })).broadcast
      stats.value = isOnAir(broadcast.value) ? (await live.getStreamStats({ roomId })).stats : undefined
      error.value = undefined
    } catch (failure) {
      stats.value = undefined
      // The broadcast ended between the two calls.
      error.value = errorReason(failure) === 'NOT_LIVE' ? undefined : failure
    }
  }
  const refresh = usePolling(poll, pollMs)

  return {
    broadcast,
    stats,
    key: computed(() => issuedKeys.get(roomId)),
    error,
    phase: computed(() => phaseOf(broadcast.value)),
    /** Makes a new key; the one before stops working. */
    newKey: async () => {
      issuedKeys.set(roomId, await live.issueStreamKey({ roomId }))
    },
    end: async () => {
      broadcast.value = (await live.endBroadcast({ roomId })).broadcast
      stats.value = undefined
      await refresh()
    },
  }
}
