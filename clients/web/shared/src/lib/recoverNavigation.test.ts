import { describe, expect, it, vi } from 'vitest'
import { nextTick, ref } from 'vue'
import { createMemoryHistory, createRouter } from 'vue-router'
import { loadPart } from './loadPart'
import { recoverNavigation } from './recoverNavigation'

/** An app with one page that is there and one whose part of the app does not load. */
async function open(memory = new Map<string, string>()) {
  const page = { template: '' }
  const load = vi.fn<() => Promise<typeof page>>(() => Promise.reject(new TypeError('Failed to fetch')))
  const router = createRouter({
    history: createMemoryHistory(),
    routes: [
      { path: '/', component: page },
      { path: '/other', component: page },
      { path: '/live', component: () => loadPart(load) },
      { path: '/broken', component: page, beforeEnter: () => Promise.reject(new Error('not a part')) },
    ],
  })
  const isLost = ref(false)
  const loadPage = vi.fn()
  const { isStuck } = recoverNavigation(router, { isLost, doubt: () => (isLost.value = true) }, {
    memory: {
      getItem: (key) => memory.get(key) ?? null,
      setItem: (key, value) => void memory.set(key, value),
      removeItem: (key) => void memory.delete(key),
    },
    loadPage,
  })
  await router.push('/')
  const go = (path: string): Promise<unknown> => router.push(path).catch(() => undefined)
  return { page, load, router, isLost, loadPage, isStuck, go, memory }
}

describe('recoverNavigation', () => {
  it('says that the server is away, and goes on to the page when it is back', async () => {
    const { page, load, router, isLost, loadPage, go } = await open()
    await go('/live')
    expect([isLost.value, router.currentRoute.value.path]).toEqual([true, '/'])
    load.mockResolvedValue(page)
    isLost.value = false
    await vi.waitFor(() => expect(router.currentRoute.value.path).toBe('/live'))
    expect(loadPage).not.toHaveBeenCalled()
  })

  it('loads the page as a whole, once, when its part is gone while the server is there', async () => {
    const { load, isLost, loadPage, isStuck, go, memory } = await open()
    await go('/live')
    isLost.value = false
    await vi.waitFor(() => expect([load.mock.calls.length, isLost.value]).toEqual([2, true]))
    isLost.value = false
    await vi.waitFor(() => expect(loadPage.mock.calls).toEqual([['/live']]))
    expect(isStuck.value).toBe(false)

    // What was loaded lacks it, too.
    const next = await open(new Map())
    for (const [key, value] of memory) next.memory.set(key, value)
    await next.go('/live')
    next.isLost.value = false
    await vi.waitFor(() => expect([next.load.mock.calls.length, next.isLost.value]).toEqual([2, true]))
    next.isLost.value = false
    await vi.waitFor(() => expect(next.isStuck.value).toBe(true))
    expect(next.loadPage).not.toHaveBeenCalled()
    await next.go('/other')
    expect(next.isStuck.value).toBe(false)
  })

  it('forgets a page when somebody went elsewhere meanwhile', async () => {
    const { load, router, isLost, loadPage, go } = await open()
    await go('/live')
    await go('/other')
    isLost.value = false
    await nextTick()
    expect([load.mock.calls.length, loadPage.mock.calls.length, router.currentRoute.value.path]).toEqual([1, 0, '/other'])
  })

  it('leaves other failures alone', async () => {
    const { isLost, go } = await open()
    await go('/broken')
    expect(isLost.value).toBe(false)
  })
})
