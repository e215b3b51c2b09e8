import { nextTick } from 'vue'
import { createRouter, createWebHistory, START_LOCATION } from 'vue-router'
import { reach } from '@app/api'
import { loadPart } from '@stoa/shared/lib/loadPart'
import { recoverNavigation } from '@stoa/shared/lib/recoverNavigation'

/** A page is loaded when it is first asked for. */
const page = <T>(load: () => Promise<T>) => () => loadPart(load)

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/', name: 'home', component: page(() => import('./pages/HomePage.vue')) },
    { path: '/room/:id', name: 'room', component: page(() => import('./pages/RoomPage.vue')), props: true },
    { path: '/signin', name: 'signin', component: page(() => import('./pages/SignInPage.vue')) },
    { path: '/account', name: 'account', component: page(() => import('./pages/AccountPage.vue')) },
    { path: '/live', name: 'live', component: page(() => import('./pages/GoLivePage.vue')) },
    { path: '/:rest(.*)*', name: 'not-found', component: page(() => import('./pages/NotFoundPage.vue')) },
  ],
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
})

/** Whether the page that was asked for stays away. */
export const recovery = recoverNavigation(router, reach)

// A new page begins at its content, for those who do not see it change.
router.afterEach(async (to, from) => {
  if (from === START_LOCATION || to.path === from.path) return
  await nextTick()
  document.getElementById('main')?.focus({ preventScroll: true })
})
