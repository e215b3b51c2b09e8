import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createRenderer, h, type Component } from 'vue'
import { lazy } from './lazy'

interface Node {
  tag: string
  text: string
  props: Record<string, unknown>
  children: Node[]
  parent: Node | null
}
const node = (tag: string, text = ''): Node => ({ tag, text, props: {}, children: [], parent: null })

/** As much of a page as a component needs. */
const { createApp } = createRenderer<Node, Node>({
  createElement: (tag) => node(tag),
  createText: (text) => node('', text),
  createComment: () => node('!'),
  setText: (target, text) => (target.text = text),
  setElementText: (target, text) => (target.children = [node('', text)]),
  insert(child, parent, anchor) {
    child.parent = parent
    parent.children.splice(anchor ? parent.children.indexOf(anchor) : parent.children.length, 0, child)
  },
  remove: (child) => child.parent?.children.splice(child.parent.children.indexOf(child), 1),
  parentNode: (child) => child.parent,
  nextSibling: (child) => child.parent?.children[child.parent.children.indexOf(child) + 1] ?? null,
  patchProp: (target, key, _before, value: unknown) => void (target.props[key] = value),
})

function find(root: Node, testid: string): Node | undefined {
  if (root.props['data-testid'] === testid) return root
  return root.children.map((child) => find(child, testid)).find(Boolean)
}

function show(component: Component, props: Record<string, unknown> = {}) {
  const page = node('page')
  const app = createApp({ render: () => h(component, props) })
  app.mount(page)
  return { app, page }
}

const failed = { emits: ['retry'], render: ({ $emit }: { $emit: (name: string) => void }) => h('p', { 'data-testid': 'failed', onClick: () => $emit('retry') }) }
const Part = { props: ['name'], render: ({ name }: { name: string }) => h('p', { 'data-testid': 'part' }, name) }

describe('lazy', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  it('shows what waits, then the part with what it was given', async () => {
    const LazyPart = lazy(() => Promise.resolve({ default: Part as Component }), { waiting: () => h('i', { 'data-testid': 'waiting' }) })
    const { page } = show(LazyPart, { name: 'Ada' })
    expect(find(page, 'waiting')).toBeDefined()
    await vi.runAllTimersAsync()
    expect(find(page, 'part')?.children[0]?.text).toBe('Ada')
    expect(find(page, 'waiting')).toBeUndefined()
  })

  it('asks again until the part is there, and says so when it takes long', async () => {
    let away = true
    const load = vi.fn(() => (away ? Promise.reject(new TypeError('Failed to fetch')) : Promise.resolve({ default: Part as Component })))
    const { page } = show(lazy(load, { failed }))
    await vi.advanceTimersByTimeAsync(0)
    expect(load).toHaveBeenCalledTimes(1)
    expect(find(page, 'failed')).toBeUndefined()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(load).toHaveBeenCalledTimes(3)
    expect(find(page, 'failed')).toBeDefined()
    away = false
    await vi.advanceTimersByTimeAsync(10_000)
    expect(find(page, 'part')).toBeDefined()
    expect(find(page, 'failed')).toBeUndefined()
  })

  it.each([
    ['loads the page anew when the server is there without it', () => Promise.resolve(new Response()), 1],
    ['leaves the page alone while the server is away', () => Promise.reject(new TypeError('Failed to fetch')), 0],
  ])('%s, once asked by hand', async (_name, fetched, reloads) => {
    const reload = vi.fn()
    vi.stubGlobal('location', { href: 'http://stoa.test/', reload })
    vi.stubGlobal('fetch', fetched)
    const { app, page } = show(lazy<Component>(() => Promise.reject(new TypeError('gone')), { failed }))
    await vi.advanceTimersByTimeAsync(2_000)
    const retry = find(page, 'failed')?.props.onClick as () => void
    retry()
    await vi.advanceTimersByTimeAsync(0)
    expect(reload).toHaveBeenCalledTimes(reloads)
    app.unmount()
  })

  it('asks no more once nobody wants it', async () => {
    const load = vi.fn(() => Promise.reject(new TypeError('gone')))
    const { app } = show(lazy<Component>(load, { failed }))
    await vi.advanceTimersByTimeAsync(0)
    app.unmount()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(load).toHaveBeenCalledTimes(1)
  })
})
