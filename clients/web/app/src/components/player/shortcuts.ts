import { onBeforeUnmount, onMounted, readonly, ref, type Ref } from 'vue'

/** What a key can do, in the order in which they are listed. */
export const actions = ['mute', 'volume', 'full', 'theatre', 'pip', 'danmaku', 'stats'] as const
export type Action = (typeof actions)[number]

/** What is written on the keys. */
export const keyNames: Record<Action, string> = { mute: 'M', volume: '↑ ↓', full: 'F', theatre: 'T', pip: 'I', danmaku: 'D', stats: '?' }

type KeyInput = Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'isComposing' | 'defaultPrevented'>

const byKey: Partial<Record<string, Action>> = { m: 'mute', f: 'full', t: 'theatre', i: 'pip', d: 'danmaku', '?': 'stats' }

/** What a key press asks of the player; undefined for those that belong to others. */
export function actionOf(event: KeyInput): Action | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return undefined
  if (event.key === 'ArrowUp' || event.key === 'ArrowDown') return 'volume'
  return byKey[event.key.toLowerCase()]
}

/** Where keys mean something else: text is written, a value is set, or a choice is made. */
const busyPlaces = 'input, textarea, select, [contenteditable], [role=slider], [role=dialog], [role=alertdialog], [role=menu], [role=listbox], [role=radiogroup], [role=tablist], [role=grid]'

const KEY = 'stoa.shortcuts'

function recall(): boolean {
  try {
    return localStorage.getItem(KEY) !== 'off'
  } catch {
    return true
  }
}

/**
 * Keys for the player, anywhere on the page but where someone writes. The arrows, which scroll a page, are the player's
 * only when the focus is in it or it fills the screen. They can be turned off: speech input types letters by mistake.
 */
export function useShortcuts(
  frame: Readonly<Ref<HTMLElement | null>>,
  act: Record<Exclude<Action, 'volume'>, () => void> & { volume: (step: 1 | -1) => void },
) {
  const on = ref(recall())

  function onKey(event: KeyboardEvent): void {
    const action = on.value ? actionOf(event) : undefined
    const place = event.target instanceof Element ? event.target : undefined
    if (!action || place?.closest(busyPlaces)) return
    // A key that is held down sets the volume, and switches nothing to and fro.
    if (event.repeat && action !== 'volume') return
    if (action === 'volume') {
      const filled = document.fullscreenElement !== null && document.fullscreenElement === frame.value
      if (!filled && !frame.value?.contains(place ?? null)) return
      act.volume(event.key === 'ArrowUp' ? 1 : -1)
    } else {
      act[action]()
    }
    event.preventDefault()
  }
  onMounted(() => document.addEventListener('keydown', onKey))
  onBeforeUnmount(() => document.removeEventListener('keydown', onKey))

  return {
    on: readonly(on),
    setOn(value: boolean): void {
      on.value = value
      try {
        localStorage.setItem(KEY, value ? 'on' : 'off')
      } catch {
        // It holds for this visit.
      }
    },
  }
}

export type Shortcuts = ReturnType<typeof useShortcuts>
