import { nextTick, onMounted, onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue'
import type { Line } from './lines'

/** How near to the end still counts as the end, in pixels. */
const nearPx = 40

/**
 * Keeps a moving list still under the hand: while the pointer or the keyboard's focus is in it, or it is scrolled up, new
 * lines wait, so that nobody deletes the message that has just slid under the pointer. `frame` is the list with what lies
 * over it.
 */
export function useHold(frame: Readonly<Ref<HTMLElement | null>>, box: Readonly<Ref<HTMLElement | null>>, lines: Readonly<Ref<readonly Line[]>>) {
  const shown = shallowRef<readonly Line[]>([])
  const waiting = ref(0)
  let pointed = false
  let scrolledUp = false

  /** True while the keyboard is in the list; a focus that a click has left there holds nothing. */
  const hasKeyboard = (): boolean => Boolean(box.value?.matches(':focus-visible, :has(:focus-visible)'))
  const isHeld = (): boolean => pointed || scrolledUp || hasKeyboard()

  function follow(): void {
    shown.value = lines.value
    waiting.value = 0
    void nextTick(() => box.value?.scrollTo({ top: box.value.scrollHeight }))
  }
  function update(): void {
    if (!isHeld()) {
      follow()
      return
    }
    // What is shown changes where it is (a deletion), and what is new waits.
    const now = new Map(lines.value.map((line) => [line.key, line]))
    shown.value = shown.value.map((line) => now.get(line.key) ?? line)
    const last = shown.value.at(-1)?.key
    const at = lines.value.findIndex((line) => line.key === last)
    waiting.value = last === undefined || at < 0 ? lines.value.length : lines.value.length - 1 - at
  }
  function toEnd(): void {
    scrolledUp = pointed = false
    if (document.activeElement instanceof HTMLElement && box.value?.contains(document.activeElement)) document.activeElement.blur()
    follow()
  }

  const onEnter = (event: PointerEvent): void => void (pointed = event.pointerType === 'mouse')
  function onLeave(): void {
    pointed = false
    if (!isHeld()) update()
  }
  function onScroll(): void {
    const element = box.value
    if (!element) return
    const was = scrolledUp
    scrolledUp = element.scrollHeight - element.scrollTop - element.clientHeight > nearPx
    if (was && !isHeld()) update()
  }

  watch(lines, update)
  onMounted(() => {
    const element = box.value
    frame.value?.addEventListener('pointerenter', onEnter)
    frame.value?.addEventListener('pointerleave', onLeave)
    element?.addEventListener('focusout', update)
    element?.addEventListener('scroll', onScroll, { passive: true })
  })
  onScopeDispose(() => {
    frame.value?.removeEventListener('pointerenter', onEnter)
    frame.value?.removeEventListener('pointerleave', onLeave)
    box.value?.removeEventListener('focusout', update)
    box.value?.removeEventListener('scroll', onScroll)
  })

  return { shown, waiting, toEnd }
}
