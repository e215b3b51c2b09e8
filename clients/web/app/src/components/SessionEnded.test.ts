import { describe, expect, it } from 'vitest'
import { createSSRApp } from 'vue'
import { createI18n, type DefineLocaleMessage } from 'vue-i18n'
import { createMemoryHistory, createRouter } from 'vue-router'
import { renderToString } from 'vue/server-renderer'
import { en as sharedEn } from '@stoa/shared/i18n/en'
import { zh as sharedZh } from '@stoa/shared/i18n/zh'
import { en, zh } from '@app/i18n/words'
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
  const i18n = createI18n<[DefineLocaleMessage], 'en' | 'zh', false>({
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- this version still defaults to the old interface
    legacy: false,
    locale,
    messages: { en: { ...sharedEn, ...en }, zh: { ...sharedZh, ...zh } },
  })
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
