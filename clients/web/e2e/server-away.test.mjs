// A server that is away, slow or restarted: every page says so, keeps what it shows, and recovers by itself.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { byId, launch, open, person, pictureMoves, rememberFirstAdmin, rememberSignIn, shot } from './browser.mjs'
import { openStage } from './stage.mjs'

describe('a server that goes away', () => {
  let browser, stage, room, streamer
  const remembered = {}

  before(async () => {
    stage = await openStage()
    browser = await launch()
    streamer = await stage.signUp('streamer', 'Sina')
    room = await stage.openRoom(streamer, 'A room')
    stage.push(room.push)
    await stage.reaches(room, 'LIVE', streamer)
    remembered.staff = await rememberFirstAdmin(browser, stage)
    remembered.streamer = await rememberSignIn(browser, stage, streamer)
  })
  after(async () => {
    await browser?.close()
    await stage?.close()
  })

  it('is noticed by every page, which says so and recovers', async () => {
    const guest = await person(browser, stage)
    const own = await person(browser, stage, { storageState: remembered.streamer })
    const staff = await person(browser, stage, { storageState: remembered.staff })
    const pages = {
      home: await open(guest.context, stage, '/'),
      room: await open(guest.context, stage, `/room/${room.id}`),
      studio: await open(own.context, stage, `/live?room=${room.id}`),
      account: await open(own.context, stage, '/account'),
      overview: await open(staff.context, stage, '/admin'),
      rooms: await open(staff.context, stage, '/admin/rooms'),
    }
    const shows = {
      home: `[data-room="${room.id}"]`,
      room: '[data-testid="player"]',
      studio: '[data-testid="health"]',
      account: '[data-testid="device"]',
      overview: '[data-testid="tile-live"]',
      rooms: '[data-testid="room-row"]',
    }
    for (const [name, page] of Object.entries(pages)) await page.locator(shows[name]).first().waitFor()
    await pictureMoves(pages.room)

    await stage.stop()
    const says = /cannot be reached|reconnecting|connection lost|coming back|offline/i
    for (const [name, page] of Object.entries(pages)) {
      await page.bringToFront()
      await page.getByText(says).first().waitFor({ timeout: 40_000 }).catch((error) => {
        throw new Error(`${name} does not say that the server is away: ${error.message}`)
      })
      assert.ok(await page.locator(shows[name]).first().isVisible(), `${name} lost what it showed`)
      await shot(page, `away-${name}`)
    }
    // Who goes on to another page of the app while the server is away gets there once it is back.
    await pages.home.bringToFront()
    await byId(pages.home, 'nav-go-live').first().click()

    await stage.start()
    stage.push(room.push)
    await pictureMoves(pages.room)
    await pages.studio.bringToFront()
    await pages.studio.locator('[data-testid="broadcast-state"][data-state="live"]').first().waitFor({ timeout: 40_000 })
    await pages.home.bringToFront()
    await byId(pages.home, 'live-sign-in').waitFor({ timeout: 40_000 })
    for (const name of ['overview', 'rooms', 'room', 'studio', 'account', 'home']) {
      await pages[name].bringToFront()
      await pages[name].getByText(says).first().waitFor({ state: 'hidden', timeout: 40_000 })
    }
    for (const { context, complaints } of [guest, own, staff]) {
      assert.deepEqual(complaints, [])
      await context.close()
    }
  })

  it('is waited for when it is slow', async () => {
    const { context } = await person(browser, stage)
    const page = await context.newPage()
    let release
    const slow = new Promise((resolve) => (release = resolve))
    await page.route('**/stoa.live.v1.LiveService/ListRooms*', async (route) => {
      await slow
      await route.continue()
    })
    await page.goto(stage.url)
    await page.locator('[data-testid="home"] [aria-busy="true"], [data-testid="home"] .skeleton').first().waitFor()
    await shot(page, 'slow-home')
    release()
    await page.locator(`[data-room="${room.id}"]`).waitFor()
    await context.close()
  })
})
