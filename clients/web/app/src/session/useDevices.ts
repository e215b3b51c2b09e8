import type { Device } from '@gen/stoa/auth/v1/auth_pb'
import { ref, shallowRef } from 'vue'
import { auth } from '@app/api'
import { errorReason } from '@stoa/shared/api/errors'
import { usePolling } from '@stoa/shared/lib/usePolling'

/** Also how soon a page that was signed out from elsewhere notices. */
const refreshMs = 4_000

/** The devices on which one is signed in, and how to sign one out. */
export function useDevices() {
  const devices = shallowRef<readonly Device[]>([])
  const status = ref<'loading' | 'ready' | 'error'>('loading')
  const error = shallowRef<unknown>()

  async function load(): Promise<void> {
    try {
      devices.value = (await auth.listDevices({ pageSize: 100 })).devices
      status.value = 'ready'
      error.value = undefined
    } catch (failure) {
      error.value = failure
      if (devices.value.length === 0) status.value = 'error'
    }
  }
  const reload = usePolling(load, refreshMs)

  async function revoke(deviceId: string): Promise<void> {
    try {
      await auth.revokeDevice({ deviceId })
    } catch (failure) {
      // Signed out already: that is what was wanted.
      if (errorReason(failure) !== 'DEVICE_NOT_FOUND') throw failure
    }
    devices.value = devices.value.filter(({ id }) => id !== deviceId)
    await reload()
  }

  return { devices, status, error, reload, revoke }
}
