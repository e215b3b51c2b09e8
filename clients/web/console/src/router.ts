import { Role } from '@gen/stoa/auth/v1/auth_pb'
import { loadPart } from '@stoa/shared/lib/loadPart'
import { recoverNavigation } from '@stoa/shared/lib/recoverNavigation'
import { safeNext } from '@stoa/shared/lib/safeNext'
import { createRouter, createWebHistory } from 'vue-router'
import { dropStranger, isAdmin, isStaff, me } from './account/access'
import { takeSetupToken } from './account/setupToken'
import { reach } from './api'

declare module 'vue-router' {
  interface RouteMeta {
    /** For people who are not signed in. */
    open?: boolean
    /** The lowest role that may use the page; the staff when unset. */
    role?: Role
  }
}

/** A page is loaded when it is first asked for. */
const page = <T>(load: () => Promise<T>) => () => loadPart(load)

/** The addresses are known to the gateway too, which answers every other one with "not found". */
export const router = createRouter({
  history: createWebHistory('/admin/'),
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  routes: [
    { path: '/signin', name: 'signin', meta: { open: true }, component: page(() => import('./pages/SignInPage.vue')) },
    { path: '/setup', name: 'setup', meta: { open: true }, component: page(() => import('./pages/SetupPage.vue')) },
    { path: '/', name: 'overview', component: page(() => import('./pages/OverviewPage.vue')) },
    { path: '/users', name: 'users', component: page(() => import('./pages/UsersPage.vue')) },
    { path: '/users/:id', name: 'user', component: page(() => import('./pages/UserPage.vue')) },
    { path: '/rooms', name: 'rooms', component: page(() => import('./pages/RoomsPage.vue')) },
    { path: '/rooms/:id', name: 'room', component: page(() => import('./pages/RoomPage.vue')) },
    { path: '/chat', name: 'chat', component: page(() => import('./pages/ChatPage.vue')) },
    { path: '/mutes', name: 'mutes', component: page(() => import('./pages/MutesPage.vue')) },
    { path: '/settings', name: 'settings', meta: { role: Role.ADMIN }, component: page(() => import('./pages/SettingsPage.vue')) },
    { path: '/audit', name: 'audit', meta: { role: Role.ADMIN }, component: page(() => import('./pages/AuditPage.vue')) },
    { path: '/:rest(.*)*', name: 'nothing', component: page(() => import('./pages/NothingPage.vue')) },
  ],
})

/** Whether the page that was asked for stays away. */
export const recovery = recoverNavigation(router, reach)

router.beforeEach((to) => {
  if (to.name === 'setup' && to.hash) {
    takeSetupToken()
    return { name: 'setup', replace: true }
  }
  // A role may have been taken away since; what is left of the session goes too.
  if (me.value && !isStaff.value) void dropStranger()
  if (to.name === 'signin' && isStaff.value) return safeNext(to.query.next)
  if (to.meta.open) return true
  if (!isStaff.value) return { name: 'signin', query: to.path === '/' ? {} : { next: to.fullPath } }
  if ((to.meta.role ?? Role.UNSPECIFIED) > Role.MODERATOR && !isAdmin.value) return { name: 'overview' }
  return true
})
