import { useEventListener } from '@vueuse/core'
import { ref } from 'vue'

/** Less than this is a bar of the browser that hides, not a keyboard. */
const keyboardPx = 120

/**
 * The height in pixels that a keyboard on the screen leaves, or undefined while there is none. Browsers lay the page out
 * behind the keyboard and scroll it to the field; a page that fits what is left needs no scrolling.
 */
export function useVisibleHeight() {
  const height = ref<number>()
  const visual = window.visualViewport
  if (visual) {
    const measure = (): void => {
      const hidden = document.documentElement.clientHeight - visual.height * visual.scale
      height.value = hidden > keyboardPx && visual.scale === 1 ? visual.height : undefined
      if (height.value !== undefined) window.scrollTo(0, 0)
    }
    useEventListener(visual, 'resize', measure)
    measure()
  }
  return height
}
