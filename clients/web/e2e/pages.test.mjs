// Every page of both apps on a phone and on a desktop, light and dark, in English and Chinese: it shows what it is for,
// fits its window, says everything in the reader's language, and axe-core finds nothing serious.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { accessible, byId, desktop, fits, launch, open, person, phone, rememberFirstAdmin, rememberSignIn, shot } from './browser.mjs'
import { openStage } from './stage.mjs'

const windows = { desktop, phone }
const themes = ['light', 'dark']
const languages = { en: 'en-US', zh: 'zh-CN' }

describe('every page', () => {
  let browser, stage, live, quiet, streamer
  /** What browsers remember of who is signed in. */
  const remembered = {}

  before(async () => {
    stage = await openStage()
    browser = await launch()
    streamer = await stage.signUp('streamer', 'Sina 新')
    live = await stage.openRoom(streamer, 'Morning coffee 早安咖啡')
    quiet = await stage.openRoom(streamer, 'An evening of songs', 'music')
    stage.push(live.push)
    await stage.reaches(live, 'LIVE', streamer)
    for (let i = 0; i < 25; i++) {
      await streamer.call('chat.v1.ChatService/SendMessage', {
        conversationId: live.conversationId,
        clientMsgId: `hello-${i}-00`,
        content: { text: { text: i % 3 ? `message ${i}` : `第 ${i} 条消息，大家早上好 ☕` } },
      }).catch(() => undefined) // the limit on one person may come in between; some are enough
    }
    // The staff and the streamer sign in once, by the pages.
    remembered.staff = await rememberFirstAdmin(browser, stage)
    remembered.streamer = await rememberSignIn(browser, stage, streamer)
  })
  after(async () => {
    await browser?.close()
    await stage?.close()
  })

  /** What each page shows when it is ready. */
  const pages = () => ({
    home: { path: '/', ready: `[data-room="${live.id}"]` },
    'home-nothing-found': { path: '/?q=nothing-is-called-so', ready: '[data-testid="filter-clear"], [data-testid="home"] .state' },
    room: { path: `/room/${live.id}`, ready: '[data-testid="player"][data-status="playing"]' },
    'room-own': { path: `/room/${live.id}`, ready: '[data-testid="player"][data-status="playing"]', as: 'streamer' },
    'room-quiet': { path: `/room/${quiet.id}`, ready: '[data-testid="player-overlay"]' },
    'room-missing': { path: '/room/01J00000000000000000000000', ready: '.state' },
    'not-found': { path: '/nothing-here', ready: '.state' },
    signin: { path: '/signin', ready: '[data-testid="signin-submit"]' },
    signup: { path: '/signin?mode=new', ready: '[data-testid="signup-nickname"]' },
    'studio-guest': { path: '/live', ready: '[data-testid="live-sign-in"]' },
    'studio-live': { path: `/live?room=${live.id}`, ready: '[data-testid="health"] canvas', as: 'streamer' },
    'studio-quiet': { path: `/live?room=${quiet.id}`, ready: '[data-testid="stream-key"]', as: 'streamer' },
    account: { path: '/account', ready: '[data-testid="device"]', as: 'streamer' },
    'console-signin': { path: '/admin/signin', ready: '[data-testid="console-signin-submit"]' },
    'console-setup-done': { path: '/admin/setup', ready: 'h1, h2' },
    'console-overview': { path: '/admin', ready: '[data-testid="overview"] canvas', as: 'staff' },
    'console-users': { path: '/admin/users', ready: '[data-testid="user-row"]', as: 'staff' },
    'console-user': { path: `/admin/users/${streamer.id}`, ready: '[data-testid="device-row"]', as: 'staff' },
    'console-rooms': { path: '/admin/rooms', ready: '[data-testid="room-row"]', as: 'staff' },
    'console-room': { path: `/admin/rooms/${live.id}`, ready: '[data-testid="corner-player"]', as: 'staff' },
    'console-chat': { path: '/admin/chat', ready: 'h1', as: 'staff' },
    'console-mutes': { path: '/admin/mutes', ready: 'h1', as: 'staff' },
    'console-settings': { path: '/admin/settings', ready: '[data-testid="site-save"]', as: 'staff' },
    'console-audit': { path: '/admin/audit', ready: '[data-testid="audit-export"]', as: 'staff' },
  })

  for (const [size, viewport] of Object.entries(windows)) {
    for (const theme of themes) {
      for (const [language, locale] of Object.entries(languages)) {
        it(`is itself on a ${size}, ${theme}, in ${language}`, { timeout: 300_000 }, async () => {
          const touch = size === 'phone' ? { isMobile: true, hasTouch: true } : {}
          const options = { viewport, locale, colorScheme: theme, reducedMotion: 'reduce', ...touch }
          const wrong = []
          const people = {}
          for (const [name, { path, ready, as = 'guest' }] of Object.entries(pages())) {
            if (!people[as]) {
              people[as] = await person(browser, stage, { ...options, storageState: remembered[as] })
              people[as].page = await people[as].context.newPage()
            }
            const { page, complaints } = people[as]
            const what = `${name} on a ${size}, ${theme}, in ${language}`
            await page.goto(stage.url + path)
            try {
              await page.locator(ready).first().waitFor({ timeout: 20_000 })
              assert.equal((await page.evaluate(() => document.documentElement.lang)).slice(0, 2), language)
              await fits(page, what)
              // Roles, labels and colours are the same in both languages; their number of letters is what fits() is for.
              if (language === 'en') await accessible(page, what)
            } catch (error) {
              wrong.push(`${what}: ${error.message}`)
            }
            await shot(page, `${name}-${size}-${theme}-${language}`)
            for (const complaint of complaints.splice(0)) wrong.push(`${what}: ${complaint}`)
          }
          for (const { context } of Object.values(people)) await context.close()
          assert.deepEqual(wrong, [])
        })
      }
    }
  }

  it('asks for little JavaScript at first, and for the player only where something plays', async () => {
    const { context } = await person(browser, stage)
    const page = await context.newPage()
    const client = await context.newCDPSession(page)
    await client.send('Network.enable')
    const scripts = new Map()
    let bytes = 0
    client.on('Network.responseReceived', ({ requestId, type, response }) => type === 'Script' && scripts.set(requestId, response.url))
    client.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
      if (scripts.has(requestId)) bytes += encodedDataLength
    })
    await page.goto(stage.url, { waitUntil: 'networkidle' })
    await byId(page, 'room-card').first().waitFor()
    assert.ok(bytes > 20_000 && bytes < 200_000, `the home page takes ${bytes} bytes of JavaScript`)
    const heavy = [...scripts.values()].filter((url) => /mpegts|hls|echarts|lineChart|compact/i.test(url))
    assert.deepEqual(heavy, [])
    await context.close()
  })

  it('obeys the reader on appearance and language, and remembers', async () => {
    const { context } = await person(browser, stage, { colorScheme: 'light' })
    const page = await open(context, stage)
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const light = await ground()
    await byId(page, 'user-menu').first().click()
    await byId(page, 'menu-theme-dark').click()
    assert.notEqual(await ground(), light)
    await page.keyboard.press('Escape')
    await byId(page, 'user-menu').first().click()
    await byId(page, 'menu-language-zh').click()
    await page.reload()
    await byId(page, 'home').waitFor()
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'zh-CN')
    assert.notEqual(await ground(), light)
    await context.close()
  })
})
