import { expect, it } from 'vitest'
import { ref } from 'vue'
import { usePlayerMenu } from './usePlayerMenu'

it('opens and closes the panel of a picture', () => {
  const { menu, toggleStats } = usePlayerMenu(ref(true))
  toggleStats()
  expect(menu.value).toBe('stats')
  toggleStats()
  expect(menu.value).toBeUndefined()
})

it('has no such panel without a picture', () => {
  const live = ref(true)
  const { menu, toggleStats } = usePlayerMenu(live)
  toggleStats()
  live.value = false
  expect(menu.value).toBeUndefined()
  toggleStats()
  expect(menu.value).toBeUndefined()
  menu.value = 'danmaku'
  live.value = true
  live.value = false
  expect(menu.value).toBe('danmaku')
})
