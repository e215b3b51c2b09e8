export interface BackoffOptions {
  /** First wait, in milliseconds. */
  firstMs: number
  /** Longest wait, in milliseconds. */
  maxMs: number
}

/**
 * The wait before attempt number `attempt` (0 is the first retry), in milliseconds: doubling, with up to half of it
 * taken off at random so that viewers who lost the same server do not return in the same instant.
 */
export function backoffMs(attempt: number, { firstMs, maxMs }: BackoffOptions, random = Math.random): number {
  const full = Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 16))
  return Math.round(full * (1 - random() / 2))
}
