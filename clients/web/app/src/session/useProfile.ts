import type { User } from '@gen/stoa/auth/v1/auth_pb'
import { computed, ref, shallowRef } from 'vue'
import { auth, session } from '@app/api'
import { jpegOf, middleSquare } from '@stoa/shared/lib/picture'

/** What the server makes of an avatar; larger ones would be sent for nothing. */
const avatarEdge = 256
const maxBytes = 700 * 1_024

/** Changes of one's own name and picture. Whatever shows the user follows. */
export function useProfile() {
  const busy = ref(false)
  const error = shallowRef<unknown>()

  /** Makes one change; false when it failed, with the reason in `error`. */
  async function change(call: () => Promise<{ user?: User }>): Promise<boolean> {
    busy.value = true
    error.value = undefined
    try {
      const { user } = await call()
      if (user) await session.setUser(user)
      return true
    } catch (failure) {
      error.value = failure
      return false
    } finally {
      busy.value = false
    }
  }

  return {
    busy: computed(() => busy.value),
    error,
    rename: (nickname: string) => change(() => auth.updateProfile({ nickname, updateMask: { paths: ['nickname'] } })),
    uploadAvatar: (file: File) =>
      change(async () => auth.uploadAvatar({ image: await jpegOf(file, (size) => middleSquare(size, avatarEdge), maxBytes) })),
    removeAvatar: () => change(() => auth.deleteAvatar({})),
  }
}
