import { ref, type Ref } from 'vue'

/** Keeps the last picture in sight while the video element has none: between two connections. */
export function useFrozen(video: Readonly<Ref<HTMLVideoElement | null>>, canvas: Readonly<Ref<HTMLCanvasElement | null>>) {
  const frozen = ref(false)

  const freeze = (): void => {
    const [from, to] = [video.value, canvas.value]
    // Without a new picture the one that was kept before stays.
    if (!from || !to || from.videoWidth === 0 || from.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return
    to.width = from.videoWidth
    to.height = from.videoHeight
    to.getContext('2d')?.drawImage(from, 0, 0)
    frozen.value = true
  }
  const thaw = (): void => void (frozen.value = false)

  return { frozen, freeze, thaw }
}
