import { nextTick, onBeforeUnmount, onMounted, ref, watch, type Ref } from 'vue'

/** Closer to the end than this counts as being there, in pixels. */
const slack = 40

/**
 * Keeps a list at its end as it grows, unless the reader scrolled up to read; then it counts what came since.
 * `lastSeq` is the number of the last entry.
 */
export function useStickyScroll(list: Readonly<Ref<HTMLElement | null>>, lastSeq: () => bigint) {
  const atEnd = ref(true)
  const unread = ref(0)
  let seenSeq = 0n
  let lastTop = 0

  function jump(): void {
    const element = list.value
    if (!element) return
    element.scrollTop = element.scrollHeight
    lastTop = element.scrollTop
  }
  function onScroll(): void {
    const element = list.value
    if (!element) return
    const near = element.scrollHeight - element.scrollTop - element.clientHeight < slack
    // Only the reader scrolls up; a list that grows or a keyboard that opens moves the end away instead.
    if (near) atEnd.value = true
    else if (element.scrollTop < lastTop) atEnd.value = false
    lastTop = element.scrollTop
    if (near) see()
  }
  function see(): void {
    seenSeq = lastSeq()
    unread.value = 0
  }
  function toEnd(): void {
    atEnd.value = true
    see()
    void nextTick(jump)
  }

  watch(lastSeq, (seq) => {
    if (atEnd.value) toEnd()
    // A new history starts its numbers over.
    else unread.value = Math.max(0, Number(seq - seenSeq))
  })

  // The box shrinks when a keyboard opens or a bar appears: its end stays in sight.
  const observer = new ResizeObserver(() => {
    if (atEnd.value) jump()
  })
  onMounted(() => {
    const element = list.value
    if (!element) return
    element.addEventListener('scroll', onScroll, { passive: true })
    observer.observe(element)
    toEnd()
  })
  onBeforeUnmount(() => {
    list.value?.removeEventListener('scroll', onScroll)
    observer.disconnect()
  })

  return { atEnd, unread, toEnd }
}
