import { onMounted, onScopeDispose, readonly, ref, type Ref } from 'vue'

const VOLUME_KEY = 'stoa.volume'
const SOUND_KEY = 'stoa.sound'

/** Sound of a video element. It starts muted, as browsers demand, until the viewer has asked for sound in this tab. */
export function useSound(video: Readonly<Ref<HTMLVideoElement | null>>) {
  const muted = ref(true)
  const volume = ref(1)

  function onVolumeChange(): void {
    const element = video.value
    if (!element) return
    muted.value = element.muted || element.volume === 0
    volume.value = element.volume
  }
  function setMuted(value: boolean): void {
    const element = video.value
    if (!element) return
    element.muted = value
    if (!value && element.volume === 0) element.volume = 0.5
    remember('sessionStorage', SOUND_KEY, value ? 'off' : 'on')
  }
  function setVolume(value: number): void {
    const element = video.value
    if (!element) return
    // Steps of 0.05 do not add up exactly.
    element.volume = Math.min(1, Math.max(0, Math.round(value * 100) / 100))
    remember('localStorage', VOLUME_KEY, String(element.volume))
    setMuted(element.volume === 0)
  }

  onMounted(() => {
    const element = video.value
    if (!element) return
    const saved = Number(recall('localStorage', VOLUME_KEY) ?? 1)
    element.volume = saved > 0 && saved <= 1 ? saved : 1
    element.muted = recall('sessionStorage', SOUND_KEY) !== 'on'
    element.addEventListener('volumechange', onVolumeChange)
    onVolumeChange()
  })
  onScopeDispose(() => video.value?.removeEventListener('volumechange', onVolumeChange))

  return { muted: readonly(muted), volume: readonly(volume), setMuted, setVolume }
}

export type SoundHandle = ReturnType<typeof useSound>

type StoreName = 'localStorage' | 'sessionStorage'

function remember(store: StoreName, key: string, value: string): void {
  try {
    window[store].setItem(key, value)
  } catch {
    // A browser that keeps nothing plays all the same.
  }
}

function recall(store: StoreName, key: string): string | null {
  try {
    return window[store].getItem(key)
  } catch {
    return null
  }
}
