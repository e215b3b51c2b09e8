import { useVirtualizer } from '@tanstack/vue-virtual'
import { computed, nextTick, onBeforeUnmount, onMounted, ref, watch, type Ref } from 'vue'
import { followsEnd, type Place } from './anchor'
import type { Entry } from './entries'
import { heightOf } from './lineHeight'

/** Lines drawn beyond what is seen, on either side. */
const overscan = 12
/** Sizes remembered of lines that are gone, before they are forgotten. */
const spareSizes = 500

export interface ChatScrollSource {
  entries: Readonly<Ref<readonly Entry[]>>
  /** A line that stays drawn wherever the list is scrolled: the one that has the focus. */
  kept: () => string | undefined
  /** True while the list stands still although it is at the end: the reader points at a line. */
  held: Readonly<Ref<boolean>>
  /** False while the newest messages are left out: the end of the list is not the end of the talk. */
  complete: () => boolean
  onReading: (reading: boolean) => void
}

/**
 * Draws only the lines of a list that can be seen. Keeps the list at its end as it grows, unless the reader scrolled up
 * to read: then what they read stays where it is, whatever comes before or behind it.
 */
export function useChatScroll(list: Readonly<Ref<HTMLElement | null>>, source: ChatScrollSource) {
  const { entries } = source
  const following = ref(true)
  let last: Place = { top: 0, height: 0, seen: 0 }

  const virtualizer = useVirtualizer<HTMLElement, HTMLElement>(
    computed(() => {
      const items = entries.value
      return {
        count: items.length,
        getScrollElement: () => list.value,
        getItemKey: (index: number) => items[index]?.key ?? index,
        estimateSize: (index: number) => heightOf(items[index], list.value?.clientWidth ?? 0),
        // What is read stays in its place when older messages come before it, and when old ones go.
        anchorTo: 'end' as const,
        overscan,
        // Above a line that the keys go to, its actions have room.
        scrollPaddingStart: 28,
        paddingStart: 8,
        paddingEnd: 8,
        rangeExtractor({ startIndex, endIndex, count }) {
          const first = Math.max(0, startIndex - overscan)
          const end = Math.min(count - 1, endIndex + overscan)
          const range = Array.from({ length: Math.max(0, end - first + 1) }, (_, i) => first + i)
          const key = source.kept()
          const kept = key === undefined ? -1 : items.findIndex((entry) => entry.key === key)
          if (kept >= 0 && kept < first) range.unshift(kept)
          if (kept > end) range.push(kept)
          return range
        },
      }
    }),
  )

  function place(element: HTMLElement): Place {
    return { top: element.scrollTop, height: element.scrollHeight, seen: element.clientHeight }
  }
  function jump(): void {
    if (entries.value.length > 0) virtualizer.value.scrollToEnd()
  }
  function setFollowing(next: boolean): void {
    if (following.value !== next) following.value = next
  }
  function onScroll(): void {
    if (!list.value) return
    const now = place(list.value)
    setFollowing(source.complete() && followsEnd(following.value, last, now))
    last = now
  }
  /** Turning the wheel leaves the end before the list has moved: the next message must not pull it back. */
  function onWheel(event: WheelEvent): void {
    const element = list.value
    if (event.deltaY < 0 && element && element.scrollTop > 0 && element.scrollHeight > element.clientHeight) setFollowing(false)
  }
  function toEnd(): void {
    setFollowing(true)
    void nextTick(jump)
  }
  /** Sizes are remembered by key, and the keys of a conversation have no end. */
  function forgetSizes(): void {
    const sizes = virtualizer.value.itemSizeCache
    if (sizes.size < entries.value.length + spareSizes) return
    const present = new Set<unknown>(entries.value.map(({ key }) => key))
    for (const key of sizes.keys()) if (!present.has(key)) sizes.delete(key)
  }

  const stands = computed(() => following.value && !source.held.value)
  watch(stands, (stands) => {
    source.onReading(!stands)
    if (stands) jump()
  })
  watch(entries, () => {
    forgetSizes()
    if (stands.value) jump()
  }, { flush: 'post' })

  // The box shrinks when a keyboard opens or a bar appears: its end stays in sight.
  const observer = new ResizeObserver(() => {
    if (following.value) jump()
    if (list.value) last = place(list.value)
  })
  onMounted(() => {
    const element = list.value
    if (!element) return
    element.addEventListener('scroll', onScroll, { passive: true })
    element.addEventListener('wheel', onWheel, { passive: true })
    observer.observe(element)
    toEnd()
  })
  onBeforeUnmount(() => {
    list.value?.removeEventListener('scroll', onScroll)
    list.value?.removeEventListener('wheel', onWheel)
    observer.disconnect()
  })

  return {
    following,
    toEnd,
    lines: computed(() => virtualizer.value.getVirtualItems()),
    totalHeight: computed(() => virtualizer.value.getTotalSize()),
    /** Given to each drawn line, so that its true height is known. */
    measure: (element: unknown): void => virtualizer.value.measureElement(element as HTMLElement | null),
    showLine: (index: number): void => virtualizer.value.scrollToIndex(index, { align: 'auto' }),
  }
}
