import { onBeforeUnmount, onMounted, readonly, ref, type Ref } from 'vue'
import { toggleFullScreen } from '@stoa/shared/lib/fullScreen'

/** Full screen of a frame around a picture. */
export function useFullScreen(frame: Readonly<Ref<HTMLElement | null>>, video: Readonly<Ref<HTMLVideoElement | null>>) {
  const full = ref(false)
  const onChange = (): void => void (full.value = document.fullscreenElement !== null && document.fullscreenElement === frame.value)

  onMounted(() => document.addEventListener('fullscreenchange', onChange))
  onBeforeUnmount(() => document.removeEventListener('fullscreenchange', onChange))

  return {
    full: readonly(full),
    toggle: (): void => {
      if (frame.value && video.value) void toggleFullScreen(frame.value, video.value)
    },
  }
}

export type FullScreen = ReturnType<typeof useFullScreen>
