import { expect, it } from 'vitest'
import { effectScope } from 'vue'
import { usePreference } from './usePreference'

it('is the same for all who ask, also when the first of them is gone', () => {
  const first = effectScope()
  const one = first.run(() => usePreference('test.one', false))
  const other = usePreference('test.one', false)
  first.stop()
  if (one) one.value = true
  expect(other.value).toBe(true)
  expect(usePreference('test.two', true).value).toBe(true)
})
