import { describe, expect, it } from 'vitest'
import { createSSRApp } from 'vue'
import { createI18n, type DefineLocaleMessage } from 'vue-i18n'
import { createMemoryHistory, createRouter } from 'vue-router'
import { renderToString } from 'vue/server-renderer'
import type { Sanction } from '@stoa/shared/api/errors'
import { en as sharedEn } from '@stoa/shared/i18n/en'
import { zh as sharedZh } from '@stoa/shared/i18n/zh'
import { en, zh } from '@app/i18n/words'
import SessionEnded from './SessionEnded.vue'

async function render(locale: 'en' | 'zh', path: string, ban?: Sanction): Promise<string> {
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
  return renderToString(createSSRApp(SessionEnded, { ban }).use(router).use(i18n))
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

  it.each([
    ['en', 'This account is banned. Reason: \u2068Spam\u2069. It ends on'],
    ['zh', '此账号已被封禁。原因：\u2068Spam\u2069。到期时间：'],
  ] as const)('tells of a ban in %s, which no sign-in helps against', async (locale, sentence) => {
    const html = await render(locale, '/room/r1', { reason: 'Spam', untilMs: Date.UTC(2030, 4, 1) })
    expect(html).toContain(sentence)
    expect(html).not.toContain('href')
  })

  it('leads nowhere from the sign-in page', async () => {
    expect(await render('en', '/signin?next=/live')).not.toContain('href')
  })
})
