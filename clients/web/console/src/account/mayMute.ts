import { Role, type User } from '@gen/stoa/auth/v1/auth_pb'
import { isAdmin } from './access'

/** The order of the staff, as the server keeps it: administrators mute moderators, and nobody mutes an administrator. */
export function mayMute(user: User | undefined): boolean {
  if (!user) return false
  return user.role < Role.MODERATOR || (isAdmin.value && user.role < Role.ADMIN)
}
