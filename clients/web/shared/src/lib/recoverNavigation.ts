import { readonly, ref, watch, type Ref } from 'vue'
import { START_LOCATION, type Router } from 'vue-router'
import type { Reach } from '../api/reach'
import { PartMissing } from './loadPart'

/** Where a page is remembered that was loaded as a whole, so that it is not loaded again and again. */
const LOADED_KEY = 'stoa.loadedPage'

export interface RecoveryDeps {
  /** May be forbidden; then nothing is loaded twice by itself. */
  memory: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>
  /** Leaves the app for an address of its own. */
  loadPage: (href: string) => void
}

const browser: RecoveryDeps = {
  get memory() {
    return sessionStorage
  },
  loadPage(href) {
    if (href === location.pathname + location.search + location.hash) location.reload()
    else location.assign(href)
  },
}

export interface Recovery {
  /** True while the page that was asked for does not load, though the server is there. */
  isStuck: Readonly<Ref<boolean>>
  /** Loads that page as a whole, by hand. */
  retry: () => void
}

/**
 * Brings people to the page they asked for when its part of the app did not load: it waits for the server, asks once
 * more, and then loads the page as a whole, once, since an upgrade may have taken the part away (and some browsers
 * remember a module that failed for as long as the page lives).
 */
export function recoverNavigation(router: Router, reach: Pick<Reach, 'isLost' | 'doubt'>, deps: RecoveryDeps = browser): Recovery {
  const isStuck = ref(false)
  let wanted: { path: string; attempts: number } | undefined

  function mayLoad(href: string): boolean {
    try {
      if (deps.memory.getItem(LOADED_KEY) === href) return false
      deps.memory.setItem(LOADED_KEY, href)
      return true
    } catch {
      return false
    }
  }

  async function recover(path: string): Promise<void> {
    if (wanted?.path !== path) wanted = { path, attempts: 0 }
    const mine = wanted
    const turn = ++mine.attempts
    reach.doubt()
    await untilReached(reach.isLost)
    // Somebody went elsewhere in the meantime, or asked for it once more.
    if (wanted !== mine || mine.attempts !== turn) return
    const { href } = router.resolve(path)
    if (turn === 1) await (router.currentRoute.value === START_LOCATION ? router.replace(path) : router.push(path)).catch(() => undefined)
    else if (mayLoad(href)) deps.loadPage(href)
    else isStuck.value = true
  }

  router.onError((error, to) => {
    if (error instanceof PartMissing) void recover(to.fullPath)
  })
  router.afterEach((_to, _from, failure) => {
    if (failure) return
    wanted = undefined
    isStuck.value = false
    try {
      deps.memory.removeItem(LOADED_KEY)
    } catch {
      // There is nothing to forget.
    }
  })

  return {
    isStuck: readonly(isStuck),
    retry: () => deps.loadPage(router.resolve(wanted?.path ?? router.currentRoute.value.fullPath).href),
  }
}

function untilReached(isLost: Readonly<Ref<boolean>>): Promise<void> {
  return new Promise((resolve) => {
    const stop = watch(isLost, (lost) => {
      if (lost) return
      resolve()
      queueMicrotask(() => stop())
    }, { immediate: true, flush: 'sync' })
  })
}
