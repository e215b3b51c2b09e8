import { describe, expect, it } from 'vitest'
import { createSSRApp } from 'vue'
import { createI18n } from 'vue-i18n'
import { createMemoryHistory, createRouter } from 'vue-router'
import { renderToString } from 'vue/server-renderer'
import { en } from '@/i18n/en'
import { zh } from '@/i18n/zh'
import SessionEnded from './SessionEnded.vue'

async function render(locale: 'en' | 'zh', path: string): Promise<string> {
  const page = { template: '' }
  const router = createRouter({
    history: createMemoryHistory(),
    routes: [
      { path: '/room/:id', name: 'room', component: page },
      { path: '/signin', name: 'signin', component: page },
    ],
  })
  await router.push(path)
  const i18n = createI18n({ legacy: false, locale, messages: { en, zh } })
  return renderToString(createSSRApp(SessionEnded).use(router).use(i18n))
}

describe('the notice of a session that has ended', () => {
  it.each([
    ['en', 'Your session has ended. Sign in again.'],
    ['zh', '登录已失效，请重新登录。'],
  ] as const)('says so in %s, with the way back to the page', async (locale, sentence) => {
    const html = await render(locale, '/room/r1')
    expect(html).toContain(sentence)
    expect(html).toContain('href="/signin?next=/room/r1"')
  })

  it('leads nowhere from the sign-in page', async () => {
    expect(await render('en', '/signin?next=/live')).not.toContain('href')
  })
})
