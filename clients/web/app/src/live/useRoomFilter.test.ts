import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createApp, effectScope } from 'vue'
import { createMemoryHistory, createRouter } from 'vue-router'
import { useRoomFilter } from './useRoomFilter'

const Page = { render: () => null }

/** The filter on a home page at an address. */
async function at(path: string) {
  const router = createRouter({
    history: createMemoryHistory(),
    routes: [{ path: '/', name: 'home', component: Page }, { path: '/room/:id', name: 'room', component: Page }],
  })
  await router.push(path)
  const app = createApp(Page).use(router)
  const scope = effectScope()
  const filter = app.runWithContext(() => scope.run(useRoomFilter))
  if (!filter) throw new Error('no filter')
  return { router, scope, filter, path: () => router.currentRoute.value.fullPath }
}
const wait = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)

describe('useRoomFilter', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('searches once for what is typed, when the typing stops', async () => {
    const { router, filter, path } = await at('/?category=music')
    const visited: string[] = []
    router.afterEach((to) => visited.push(to.fullPath))
    for (const text of ['j', 'ja', 'jazz']) {
      filter.typed.value = text
      await wait(100)
    }
    await wait(500)
    expect(visited).toEqual(['/?category=music&q=jazz'])
    filter.typed.value = ''
    await wait(0)
    expect(path()).toBe('/?category=music')
  })

  it('forgets what was typed when it is cleared', async () => {
    const { filter, path } = await at('/?category=music&q=jazz')
    filter.typed.value = 'jazz rock'
    await wait(100)
    await filter.clear()
    await wait(1_000)
    expect([path(), filter.typed.value]).toEqual(['/', ''])
  })

  it('takes no search along to another page', async () => {
    const { router, scope, filter, path } = await at('/')
    filter.typed.value = 'jazz'
    await wait(100)
    await router.push('/room/1')
    await wait(1_000)
    expect(path()).toBe('/room/1')
    scope.stop()
  })

  it('searches for nothing any more when its page is gone', async () => {
    const { scope, filter, path } = await at('/')
    filter.typed.value = 'jazz'
    await wait(100)
    scope.stop()
    await wait(1_000)
    expect(path()).toBe('/')
  })
})
