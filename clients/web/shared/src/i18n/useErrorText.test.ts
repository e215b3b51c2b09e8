import { Code, ConnectError } from '@connectrpc/connect'
import { ErrorInfoSchema } from '@gen/google/rpc/error_details_pb'
import { describe, expect, it } from 'vitest'
import { createSSRApp, defineComponent } from 'vue'
import { createI18n, type DefineLocaleMessage } from 'vue-i18n'
import { renderToString } from 'vue/server-renderer'
import { en } from './en'
import { useErrorText } from './useErrorText'
import { zh } from './zh'

async function textOf(error: unknown, locale: 'en' | 'zh'): Promise<string> {
  const i18n = createI18n<[DefineLocaleMessage], 'en' | 'zh', false>({
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- this version still defaults to the old interface
    legacy: false,
    locale,
    messages: { en, zh } as unknown as Record<'en' | 'zh', DefineLocaleMessage>,
  })
  let text = ''
  const page = defineComponent({
    setup() {
      text = useErrorText()(error)
      return () => null
    },
  })
  await renderToString(createSSRApp(page).use(i18n))
  return text
}

const banned = (metadata: Record<string, string>): ConnectError =>
  new ConnectError('', Code.PermissionDenied, undefined, [{ desc: ErrorInfoSchema, value: { reason: 'BANNED', domain: 'stoa', metadata } }])

describe('the sentences of a ban', () => {
  it.each([
    ['en', 'Spam', /^This account is banned\. Reason: \u2068Spam\u2069\. It ends on .*2030.*\.$/],
    ['zh', '刷屏', /^此账号已被封禁。原因：\u2068刷屏\u2069。到期时间：2030.*。$/],
    ['en', 'Enough. ', /Reason: \u2068Enough\u2069\. It/],
  ] as const)('end, and keep people\'s words apart (%s, %s)', async (locale, reason, wanted) => {
    expect(await textOf(banned({ ban_reason: reason, ban_until: '2030-05-01T12:00:00Z' }), locale)).toMatch(wanted)
  })

  it('leave out what the server does not say', async () => {
    expect(await textOf(banned({ ban_reason: '' }), 'en')).toBe('This account is banned.')
  })
})
