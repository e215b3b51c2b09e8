// People watch and talk in a real browser, against a running server with a room on the air.
//
//   STOA_URL        the server, http://127.0.0.1:8080
//   STOA_E2E_ROOM   a room that is on the air
//   CHROMIUM        the browser, /usr/bin/chromium
//   E2E_SHOTS       a folder for screenshots, optional
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { byId, launch, openRoom, person, pictureMoves, roomId, shot, signUp, url } from './browser.mjs'

const mark = randomBytes(4).toString('hex')

describe('the watch page', () => {
  let browser

  before(async () => {
    assert.ok(roomId, 'STOA_E2E_ROOM names no room')
    browser = await launch()
  })
  after(() => browser?.close())

  it('lists the room that is on the air', async () => {
    const { context, complaints } = await person(browser)
    const page = await context.newPage()
    await page.goto(url)
    const card = page.locator(`[data-testid="rooms-live"] [data-room="${roomId}"]`)
    await card.waitFor()
    await shot(page, 'home')
    await card.click()
    await pictureMoves(page)
    assert.equal(await byId(page, 'broadcast-state').getAttribute('data-state'), 'live')
    assert.deepEqual(complaints, [])
    await context.close()
  })

  it('lets two people watch one room and read each other', async () => {
    const [ada, ben] = await Promise.all([person(browser), person(browser, { viewport: { width: 390, height: 844 } })])
    const [adaPage, benPage] = await Promise.all([openRoom(ada.context), openRoom(ben.context)])
    await signUp(adaPage, `ada${mark}`, `Ada ${mark}`)
    await signUp(benPage, `ben${mark}`, `Ben ${mark}`)

    for (const [page, text] of [
      [adaPage, `hello from Ada ${mark}`],
      [benPage, `hello from Ben ${mark}`],
    ]) {
      await byId(page, 'chat-input').fill(text)
      await byId(page, 'chat-send').click()
      for (const reader of [adaPage, benPage]) {
        const line = byId(reader, 'chat-message').filter({ hasText: text })
        await line.waitFor({ timeout: 10_000 })
        assert.equal(await line.count(), 1, 'a message is shown once')
      }
    }
    assert.equal(await byId(adaPage, 'chat-outgoing').count(), 0, 'what was sent is no longer on its way')

    const [seen] = await Promise.all([pictureMoves(adaPage), pictureMoves(benPage)])
    assert.equal(seen.engine, 'ws-flv')
    assert.ok(Number(seen.latency) < 3, `the picture is ${seen.latency} s behind`)
    await adaPage.waitForFunction(() => Number(document.querySelector('[data-testid="viewer-count"]').dataset.count) >= 2)
    await byId(adaPage, 'like-button').click()
    await Promise.all([shot(adaPage, 'room-desktop'), shot(benPage, 'room-phone')])
    assert.deepEqual([...ada.complaints, ...ben.complaints], [])
    await Promise.all([ada.context.close(), ben.context.close()])
  })

  it('plays in four tabs of one browser at once', async () => {
    const { context, complaints } = await person(browser, { viewport: { width: 800, height: 600 } })
    const tabs = await Promise.all([1, 2, 3, 4].map(() => openRoom(context)))
    await Promise.all(tabs.map((tab) => pictureMoves(tab, 2, 60_000)))
    // A call still gets through beside four pictures and four chats.
    for (const tab of tabs) await tab.locator('[data-testid="chat"][data-status="open"]').waitFor({ timeout: 15_000 })
    await signUp(tabs[0], `cyd${mark}`, `Cyd ${mark}`)
    // Who signs in does so in every tab.
    for (const tab of tabs) await byId(tab, 'chat-input').waitFor({ timeout: 15_000 })
    await Promise.all(tabs.map((tab) => pictureMoves(tab, 2, 60_000)))
    await byId(tabs[3], 'chat-input').fill(`four tabs ${mark}`)
    await byId(tabs[3], 'chat-send').click()
    for (const tab of tabs) {
      await byId(tab, 'chat-message').filter({ hasText: `four tabs ${mark}` }).waitFor({ timeout: 10_000 })
    }
    assert.deepEqual(complaints, [])
    await context.close()
  })
})
