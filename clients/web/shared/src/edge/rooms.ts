import type { Event } from '@gen/stoa/edge/v1/edge_pb'
import type { RoomListener } from './edge'

interface Place {
  unseen: boolean
  listener: RoomListener
}

/** Who follows which room in this tab. A page that comes may enter a room before the page that goes has left it. */
export class Rooms {
  private readonly places = new Map<string, Set<Place>>()

  get isEmpty(): boolean {
    return this.places.size === 0
  }

  add(conversationId: string, place: Place): void {
    const places = this.places.get(conversationId) ?? new Set()
    this.places.set(conversationId, places.add(place))
  }

  /** Takes a place away; does nothing where it is gone already. */
  remove(conversationId: string, place: Place): boolean {
    const places = this.places.get(conversationId)
    if (!places?.delete(place)) return false
    if (places.size === 0) this.places.delete(conversationId)
    return true
  }

  has(conversationId: string, place: Place): boolean {
    return this.places.get(conversationId)?.has(place) ?? false
  }

  /** How the room is entered for all who follow it: seen as soon as one of them is. Undefined where nobody does. */
  unseen(conversationId: string): boolean | undefined {
    const places = this.places.get(conversationId)
    return places && [...places].every(({ unseen }) => unseen)
  }

  /** Tells everyone. */
  tell(what: (listener: RoomListener) => void): void {
    for (const places of [...this.places.values()]) for (const { listener } of [...places]) what(listener)
  }

  /** Tells an event to those in its room. */
  tellEvent(event: Event): void {
    const places = this.places.get(conversationOf(event))
    if (places) for (const { listener } of [...places]) listener.onEvent(event)
  }
}

function conversationOf({ kind }: Event): string {
  switch (kind.case) {
    case 'chat':
    case 'people':
    case 'broadcast':
    case 'typing':
    case 'notice':
      return kind.value.conversationId
    default:
      // Of the user's own, of people, or something that a newer server tells.
      return ''
  }
}

export type { Place }
