import { computed, nextTick, onBeforeUnmount, ref, watch, type Ref } from 'vue'

/** How long a list stands still for a pointer that rests on a line or a button, and for a line that was touched. */
const restMs = 1_500
const buttonMs = 5_000
const touchMs = 4_000

export interface ActiveLineSource {
  /** The keys of the lines that can be acted upon, in order. */
  keys: () => readonly string[]
  /** Brings a line into sight. */
  show: (key: string) => void
  lineElement: (key: string) => HTMLElement | null
}

/**
 * The line that the reader is at: by pointer, by touch or by arrow keys. Lines that run away cannot be acted upon, so the
 * list is held while the reader points or has the focus in it.
 */
export function useActiveLine(list: Readonly<Ref<HTMLElement | null>>, source: ActiveLineSource) {
  const key = ref<string>()
  const focused = ref<string>()
  const pointing = ref(false)
  let timer: ReturnType<typeof setTimeout> | undefined

  const keyOf = (target: EventTarget | null): string | undefined =>
    target instanceof Element ? target.closest<HTMLElement>('[data-key]')?.dataset.key : undefined

  function holdFor(ms: number): void {
    pointing.value = true
    clearTimeout(timer)
    timer = setTimeout(() => (pointing.value = false), ms)
  }
  function onPointerMove(event: PointerEvent): void {
    // Lines that move under a pointer that rests make events, too.
    if (event.pointerType !== 'mouse' || (event.movementX === 0 && event.movementY === 0)) return
    key.value = keyOf(event.target)
    holdFor(event.target instanceof Element && event.target.closest('button') ? buttonMs : restMs)
  }
  function onPointerLeave(): void {
    clearTimeout(timer)
    pointing.value = false
    key.value = focused.value
  }
  function onClick(event: PointerEvent | MouseEvent): void {
    if (!('pointerType' in event) || event.pointerType === 'mouse') return
    if (event.target instanceof Element && event.target.closest('button')) return
    const touched = keyOf(event.target)
    key.value = touched === key.value ? undefined : touched
    if (key.value) holdFor(touchMs)
  }
  function onFocusIn(event: FocusEvent): void {
    // A line that was only clicked on holds nothing.
    if (!(event.target instanceof Element) || !event.target.matches(':focus-visible')) return
    focused.value = keyOf(event.target)
    if (focused.value) key.value = focused.value
  }
  function onFocusOut(event: FocusEvent): void {
    if (event.relatedTarget instanceof Node && list.value?.contains(event.relatedTarget)) return
    focused.value = undefined
    if (!pointing.value) key.value = undefined
  }
  function onKeydown(event: KeyboardEvent): void {
    const keys = source.keys()
    const at = focused.value === undefined ? keys.length : keys.indexOf(focused.value)
    const next = { ArrowUp: at - 1, ArrowDown: at + 1, End: keys.length - 1 }[event.key]
    if (next === undefined || event.altKey || event.ctrlKey || event.metaKey) return
    event.preventDefault()
    const wanted = keys[Math.max(0, Math.min(keys.length - 1, next))]
    if (wanted === undefined) return
    focused.value = wanted
    source.show(wanted)
    void nextTick(() => source.lineElement(wanted)?.focus({ preventScroll: true }))
  }

  // What has the focus may go with its line, and says nothing when it does.
  watch(source.keys, () => {
    if (focused.value !== undefined && !list.value?.contains(document.activeElement)) focused.value = undefined
  }, { flush: 'post' })
  onBeforeUnmount(() => clearTimeout(timer))

  return {
    key,
    focused,
    held: computed(() => pointing.value || focused.value !== undefined),
    on: {
      pointermove: onPointerMove,
      pointerleave: onPointerLeave,
      click: onClick,
      focusin: onFocusIn,
      focusout: onFocusOut,
      keydown: onKeydown,
    },
  }
}
