import { onScopeDispose, readonly, shallowRef, type Ref } from 'vue'

export interface Quality {
  /** Pixels. */
  width: number
  height: number
  /** Frames a second that are shown; undefined at first and where the browser does not tell. */
  frameRate?: number
  /** Frames that this computer was too slow for, since the connection began. */
  dropped?: number
}

const everyMs = 1_000

/** What the picture is like, measured once a second for as long as the scope lives. */
export function useQuality(video: Readonly<Ref<HTMLVideoElement | null>>) {
  const quality = shallowRef<Quality>()
  let before: { total: number; atMs: number } | undefined

  function measure(): void {
    const element = video.value
    if (!element?.videoWidth) {
      quality.value = before = undefined
      return
    }
    const { videoWidth: width, videoHeight: height } = element
    // Older browsers do not count.
    const counted = (element as Partial<HTMLVideoElement>).getVideoPlaybackQuality?.call(element)
    const now = counted && { total: counted.totalVideoFrames, atMs: performance.now() }
    const frameRate = now && before && now.total >= before.total ? ((now.total - before.total) * 1_000) / (now.atMs - before.atMs) : undefined
    before = now
    quality.value = { width, height, ...(frameRate === undefined ? {} : { frameRate }), ...(counted ? { dropped: counted.droppedVideoFrames } : {}) }
  }

  const timer = setInterval(measure, everyMs)
  measure()
  onScopeDispose(() => clearInterval(timer))
  return readonly(quality)
}
