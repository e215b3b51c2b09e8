import { ref, watch, type Ref } from 'vue'

export type PlayerMenuName = 'stats' | 'danmaku'

/** Which panel of the player is open. What tells of the picture is there only while there is one. */
export function usePlayerMenu(live: Readonly<Ref<boolean>>) {
  const menu = ref<PlayerMenuName>()

  watch(live, (now) => {
    if (!now && menu.value === 'stats') menu.value = undefined
  }, { flush: 'sync' })

  return {
    menu,
    toggleStats: (): void => {
      if (live.value) menu.value = menu.value === 'stats' ? undefined : 'stats'
    },
  }
}
