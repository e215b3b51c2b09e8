import { admin } from '@console/api'
import { useLoad } from '@console/lib/useLoad'

/** All that the staff see of one user, kept fresh while the page is open. */
export function useAccount(userId: string) {
  return useLoad((signal) => admin.getUser({ userId }, { signal }), 15_000)
}
