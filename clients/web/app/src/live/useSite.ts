import { computed, effectScope, shallowRef } from 'vue'
import type { Site } from '@gen/stoa/site/v1/site_service_pb'
import { site as service } from '@app/api'
import { usePolling } from '@stoa/shared/lib/usePolling'

const refreshMs = 60_000

// One answer for the whole page, and one clock that renews it, whoever asks first.
const current = shallowRef<Site>()
let started = false

async function load(): Promise<void> {
  try {
    current.value = (await service.getSite({})).site ?? current.value
  } catch {
    // What was known before stays, and the next turn asks again.
  }
}

/** What the installation says about itself. Until it has said so, everything is as in a new one. */
export function useSite() {
  if (!started) {
    started = true
    // Apart from the component that asked first: the others still need it when that one is gone.
    effectScope(true).run(() => usePolling(load, refreshMs))
  }
  return {
    name: computed(() => current.value?.name ?? 'Stoa'),
    announcement: computed(() => current.value?.announcement.trim() ?? ''),
    signUpEnabled: computed(() => current.value?.signUpEnabled ?? true),
    roomCreationEnabled: computed(() => current.value?.roomCreationEnabled ?? true),
  }
}
