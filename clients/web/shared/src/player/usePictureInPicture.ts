import { onScopeDispose, readonly, ref, watch, type Ref } from 'vue'

/** Shows the picture in a small window over other programs, where the browser can. */
export function usePictureInPicture(video: Readonly<Ref<HTMLVideoElement | null>>) {
  const active = ref(false)
  const onEnter = (): void => void (active.value = true)
  const onLeave = (): void => void (active.value = false)

  function listen(element: HTMLVideoElement | null, before?: HTMLVideoElement | null): void {
    before?.removeEventListener('enterpictureinpicture', onEnter)
    before?.removeEventListener('leavepictureinpicture', onLeave)
    element?.addEventListener('enterpictureinpicture', onEnter)
    element?.addEventListener('leavepictureinpicture', onLeave)
  }
  const stop = watch(video, listen, { immediate: true })
  onScopeDispose(() => {
    stop()
    listen(null, video.value)
  })

  return {
    // Firefox has a button of its own and no call.
    supported: (document as Partial<Document>).pictureInPictureEnabled === true,
    active: readonly(active),
    async toggle(): Promise<void> {
      try {
        if (document.pictureInPictureElement) await document.exitPictureInPicture()
        else await video.value?.requestPictureInPicture()
      } catch {
        // The browser refused; the picture stays where it is.
      }
    },
  }
}

export type PictureInPicture = ReturnType<typeof usePictureInPicture>
