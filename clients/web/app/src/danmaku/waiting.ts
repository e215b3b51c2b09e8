/** A message that finds no lane waits this long, in ms; one's own a little longer, for its writer looks for it. */
export const PATIENCE_MS = 800
export const OWN_PATIENCE_MS = 1_500
/** More than this many do not wait: the oldest goes. */
export const MAX_WAITING = 40

interface Waiter<T> {
  item: T
  own: boolean
  untilMs: number
}

/** Those for whom there is no room at this moment. Nobody waits longer than a moment. */
export class Waiting<T> {
  private queue: Waiter<T>[] = []

  get isEmpty(): boolean {
    return this.queue.length === 0
  }

  get size(): number {
    return this.queue.length
  }

  add(item: T, own: boolean, nowMs: number): void {
    if (this.queue.length >= MAX_WAITING) {
      const oldest = this.queue.findIndex((waiter) => !waiter.own)
      this.queue.splice(Math.max(0, oldest), 1)
    }
    const waiter = { item, own, untilMs: nowMs + (own ? OWN_PATIENCE_MS : PATIENCE_MS) }
    if (own) this.queue.unshift(waiter)
    else this.queue.push(waiter)
  }

  /** Offers each of them a place; those who took it, and those whose time is over, are gone. */
  serve(nowMs: number, offer: (item: T) => boolean): void {
    this.queue = this.queue.filter(({ item, untilMs }) => untilMs > nowMs && !offer(item))
  }

  /** Sends those away whom it fits. */
  dismiss(which: (item: T) => boolean): void {
    this.queue = this.queue.filter(({ item }) => !which(item))
  }

  clear(): void {
    this.queue = []
  }
}
