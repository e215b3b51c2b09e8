/** Who may be here: people with a staff role, and nobody else's session. */
import { Role, type User } from '@gen/stoa/auth/v1/auth_pb'
import { computed, ref } from 'vue'
import { auth, session } from '@console/api'

const roleOf = (user: User | undefined): Role => user?.role ?? Role.UNSPECIFIED

export const me = session.user
export const isStaff = computed(() => roleOf(session.user.value) >= Role.MODERATOR)
export const isAdmin = computed(() => roleOf(session.user.value) >= Role.ADMIN)

/** True from a sign-out by hand to the next sign-in: an end that needs no explanation. */
export const hasLeft = ref(false)

/**
 * Signs a member of the staff in. Anybody else is signed out again, and nothing of them is kept, also when the server
 * cannot be told. Returns whether they are staff.
 */
export async function enter(username: string, password: string): Promise<boolean> {
  await session.signIn(username, password)
  if (!isStaff.value) {
    await dropStranger()
    return false
  }
  hasLeft.value = false
  return true
}

/** Ends a session that has no staff role, such as one whose role was taken away. */
export async function dropStranger(): Promise<void> {
  await session.signOut(() => auth.signOut({}).catch(() => undefined))
}

export async function leave(): Promise<void> {
  hasLeft.value = true
  try {
    await session.signOut(() => auth.signOut({}))
  } catch (error) {
    hasLeft.value = false
    throw error
  }
}
