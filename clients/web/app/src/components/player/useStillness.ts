import { onBeforeUnmount, onMounted, readonly, ref, watch, type Ref } from 'vue'

const stillMs = 3_000
/** A mouse that has left is not coming back in this time. */
const leftMs = 500

/**
 * True when nobody has moved, touched or typed in the frame for a while, so that the picture can be had undisturbed. Not
 * while `held` is true, nor while the keyboard's focus is in the frame: it must be seen where it is.
 */
export function useStillness(frame: Readonly<Ref<HTMLElement | null>>, held: Readonly<Ref<boolean>>) {
  const still = ref(false)
  let timer: ReturnType<typeof setTimeout> | undefined
  let stillBeforeTouch = false

  function rest(): void {
    if (held.value) return
    if (frame.value?.querySelector(':focus-visible')) schedule(stillMs)
    else still.value = true
  }
  function schedule(ms: number): void {
    clearTimeout(timer)
    timer = setTimeout(rest, ms)
  }
  function wake(): void {
    still.value = false
    schedule(stillMs)
  }

  const listeners = {
    pointermove: ({ pointerType }: PointerEvent) => pointerType === 'touch' || wake(),
    pointerdown({ pointerType }: PointerEvent) {
      if (pointerType === 'touch') stillBeforeTouch = still.value
      wake()
    },
    pointerleave: ({ pointerType }: PointerEvent) => pointerType === 'touch' || schedule(leftMs),
    focusin: wake,
    keydown: wake,
  }
  onMounted(() => {
    for (const [name, listener] of Object.entries(listeners)) frame.value?.addEventListener(name, listener as EventListener)
    wake()
  })
  onBeforeUnmount(() => {
    clearTimeout(timer)
    for (const [name, listener] of Object.entries(listeners)) frame.value?.removeEventListener(name, listener as EventListener)
  })
  watch(held, wake)

  return {
    still: readonly(still),
    /** A touch of the picture itself: the first shows the controls, the next puts them away. */
    tap: (): void => {
      if (!stillBeforeTouch && !held.value) still.value = true
    },
  }
}
