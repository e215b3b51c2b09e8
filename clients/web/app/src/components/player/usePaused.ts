import { onScopeDispose, readonly, ref, watch, type Ref } from 'vue'

const events = ['play', 'playing', 'pause', 'emptied'] as const

/** True while a picture that was on its way has been paused by the browser or the system: this page never does. */
export function usePaused(video: Readonly<Ref<HTMLVideoElement | null>>) {
  const paused = ref(false)
  let element: HTMLVideoElement | null = null

  const update = ({ type }: Event): void => void (paused.value = type === 'pause' && element?.paused === true && element.readyState > 0)

  function listen(now: HTMLVideoElement | null): void {
    for (const name of events) element?.removeEventListener(name, update)
    element = now
    for (const name of events) element?.addEventListener(name, update)
  }
  watch(video, listen, { immediate: true })
  onScopeDispose(() => listen(null))

  return readonly(paused)
}
