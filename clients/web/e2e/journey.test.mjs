// The journeys of the house, in one story: the first administrator comes by the printed link; a streamer signs up, opens
// a room and goes live; a guest watches, signs up over the picture and talks; the staff keep order; all of it is in the log.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { byId, fillSignUp, launch, line, open, person, phone, pictureMoves, say, shot } from './browser.mjs'
import { openStage, until } from './stage.mjs'

describe('a day of a new installation', () => {
  let browser, stage, encoder
  let boss, streamer, viewer // people: { context, complaints }
  let console_, studio, watching // their pages
  let roomId

  before(async () => {
    stage = await openStage()
    browser = await launch()
    ;[boss, streamer, viewer] = await Promise.all([
      person(browser, stage),
      person(browser, stage),
      person(browser, stage, { viewport: phone }),
    ])
  })
  after(async () => {
    await browser?.close()
    await stage?.close()
  })

  it('makes the first administrator by the printed link, once', async () => {
    const link = await stage.setupLink()
    console_ = await boss.context.newPage()
    await console_.goto(link)
    await byId(console_, 'setup-username').fill('boss')
    await byId(console_, 'setup-password').fill('pass-boss-1')
    await byId(console_, 'setup-nickname').fill('The Boss')
    assert.ok(!console_.url().includes('#'), 'the token stays in the address')
    await byId(console_, 'setup-submit').click()
    await byId(console_, 'overview').waitFor()
    await shot(console_, 'console-first')

    const other = await person(browser, stage)
    const page = await other.context.newPage()
    await page.goto(link)
    await page.getByText(/already/i).first().waitFor()
    assert.equal(await byId(page, 'setup-submit').count(), 0, 'the link works twice')
    await other.context.close()
    const { deviceId } = await stage.call('auth.v1.AuthService/RegisterDevice', { platform: 'PLATFORM_CLI' })
    const again = { setupToken: link.split('#')[1], deviceId, username: 'thief', password: 'pass-thief' }
    await assert.rejects(stage.call('auth.v1.AuthService/CreateFirstAdmin', again), { reason: 'SETUP_DONE' })
  })

  it('lets a streamer sign up, open a room and go live before their eyes', async () => {
    studio = await open(streamer.context, stage, '/live')
    await byId(studio, 'nav-sign-in').first().click()
    await byId(studio, 'signin-mode').click()
    await fillSignUp(studio, 'streamer', 'Sina')
    await byId(studio, 'create-room-title').fill('Morning coffee')
    await byId(studio, 'create-room-submit').click()
    const own = byId(studio, 'studio-room')
    await own.waitFor()
    roomId = await own.getAttribute('data-room')
    await byId(studio, 'broadcast-state').first().waitFor()

    await byId(studio, 'stream-key').waitFor()
    assert.equal(await byId(studio, 'stream-key').getAttribute('type'), 'password', 'the key is shown to everyone in the room')
    await byId(studio, 'stream-key-reveal').click()
    assert.equal(await byId(studio, 'stream-key').getAttribute('type'), 'text')
    // The page may be left and entered again.
    const key = await byId(studio, 'stream-key').inputValue()
    await studio.reload()
    await byId(studio, 'stream-key').waitFor()
    assert.equal(await byId(studio, 'stream-key').inputValue(), key)

    const server = await byId(studio, 'rtmp-url').inputValue()
    encoder = stage.push(`${server}/${key}`, { gop: 200 })
    await studio.locator('[data-testid="broadcast-state"][data-state="live"]').first().waitFor()
    await byId(studio, 'health').waitFor()
    await until('the health says what arrives', async () => /\d/.test(await byId(studio, 'stat-bitrate').innerText()))
    // A keyframe only every eight seconds is worth advice.
    await studio.locator('[data-testid="advice"][data-kind="keyframes"]').waitFor()
    await shot(studio, 'studio-live')
  })

  it('lets a guest watch, sign up over the running picture, and talk', async () => {
    watching = await open(viewer.context, stage)
    await watching.locator(`[data-room="${roomId}"]`).click()
    await pictureMoves(watching)
    const picture = await byId(watching, 'player-video').elementHandle()
    await byId(watching, 'chat-sign-in').click()
    await byId(watching, 'signin-dialog').waitFor()
    await byId(watching, 'signin-mode').click()
    await fillSignUp(watching, 'vera', 'Vera')
    await byId(watching, 'chat-input').waitFor()
    assert.ok(await picture.evaluate((element) => element.isConnected && !element.paused), 'the picture was lost at the sign-up')
    await say(watching, 'good morning')
    await line(watching, 'good morning').waitFor()
    await line(studio, 'good morning').waitFor()
    await say(studio, 'hello Vera')
    await line(watching, 'hello Vera').waitFor()
    await byId(watching, 'like-button').first().click()
    await shot(watching, 'watching-phone')
  })

  it('lets a streamer learn of an encoder that was lost and came back', async () => {
    await encoder.stop()
    await studio.locator('[data-testid="broadcast-state"][data-state="interrupted"]').first().waitFor()
    await watching.locator('[data-testid="player-overlay"][data-word="interrupted"]').waitFor()
    const key = await byId(studio, 'stream-key').inputValue()
    encoder = stage.push(`${await byId(studio, 'rtmp-url').inputValue()}/${key}`)
    await studio.locator('[data-testid="broadcast-state"][data-state="live"]').first().waitFor()
    await pictureMoves(watching)
  })

  it('survives a restart of the server on every page', async () => {
    await stage.restart()
    encoder = stage.push(`${await byId(studio, 'rtmp-url').inputValue()}/${await byId(studio, 'stream-key').inputValue()}`)
    await studio.locator('[data-testid="broadcast-state"][data-state="live"]').first().waitFor()
    await pictureMoves(watching)
    await watching.locator('[data-testid="chat"][data-status="open"]').waitFor()
    await say(watching, 'still here')
    await line(studio, 'still here').waitFor()
    await until('the console counts again', async () => (await byId(console_, 'tile-live-value').innerText()) === '1')
  })

  it('shows the staff what is on the air', async () => {
    await byId(console_, 'nav-rooms').first().click()
    await console_.locator(`[data-testid="room-row"][data-room="${roomId}"]`).getByRole('link').first().click()
    await byId(console_, 'corner-player').waitFor()
    await until('the corner shows the picture', () =>
      console_.evaluate(() => document.querySelector('[data-testid="corner-player"] video, video[data-testid="corner-player"]')?.currentTime > 0),
    )
    await shot(console_, 'console-room')
  })

  it('takes a message away for everyone', async () => {
    await say(watching, 'buy my coins')
    await line(studio, 'buy my coins').waitFor()
    const message = byId(console_, 'mod-message').filter({ hasText: 'buy my coins' })
    await message.waitFor()
    await message.hover()
    await message.getByTestId('mod-delete').click()
    await confirm(console_)
    await line(watching, 'buy my coins').waitFor({ state: 'detached' })
    await line(studio, 'buy my coins').waitFor({ state: 'detached' })
    await watching.reload()
    await line(watching, 'still here').waitFor()
    assert.equal(await line(watching, 'buy my coins').count(), 0)
  })

  it('mutes a person, who is told', async () => {
    const message = byId(console_, 'mod-message').filter({ hasText: 'still here' })
    await message.hover()
    await message.getByTestId('mod-mute').click()
    await confirm(console_, 'spam')
    await say(watching, 'can you hear me')
    await watching.locator('[data-testid="chat-outgoing"][data-state="failed"]').waitFor()
    assert.equal(await line(studio, 'can you hear me').count(), 0)
    await byId(console_, 'nav-mutes').first().click()
    await byId(console_, 'mute-row').first().waitFor()
    await byId(console_, 'unmute').first().click()
    await confirm(console_)
    await until('the mute is gone', async () => (await byId(console_, 'mute-row').count()) === 0)
    await say(watching, 'thank you')
    await line(studio, 'thank you').waitFor()
  })

  it('warns the streamer and takes the cover down', async () => {
    await console_.goto(`${stage.url}/admin/rooms/${roomId}`)
    await byId(console_, 'warn').click()
    await byId(console_, 'warn-text').fill('Please keep the music down.')
    await byId(console_, 'confirm').click()
    await byId(studio, 'warning').filter({ hasText: 'Please keep the music down.' }).waitFor()
    await byId(studio, 'warning-ack').click()
    await byId(studio, 'warning').waitFor({ state: 'detached' })

    const admin = await signInByApi(stage, 'boss', 'pass-boss-1')
    await until('there is a cover', async () => (await admin.room(roomId)).coverUrl)
    await byId(console_, 'take-down-cover').click()
    await confirm(console_, 'not here')
    await until('the cover is gone', async () => !(await admin.room(roomId)).coverUrl)
  })

  it('ends the broadcast, with a summary for the streamer', async () => {
    await byId(console_, 'end-broadcast').click()
    await confirm(console_, 'closing time')
    await byId(studio, 'summary').waitFor()
    await watching.locator('[data-testid="player-overlay"][data-word="ended"]').waitFor()
    await shot(studio, 'studio-summary')
  })

  it('bans a person, whose pages end', async () => {
    await byId(console_, 'nav-users').first().click()
    await byId(console_, 'user-row').filter({ hasText: 'Vera' }).getByRole('link').first().click()
    await byId(console_, 'ban').click()
    await byId(console_, 'ban-reason').fill('told to go')
    await byId(console_, 'confirm').click()
    await byId(console_, 'unban').waitFor()
    await byId(watching, 'session-ended').waitFor()
  })

  it('has it all in the log, which can be taken along', async () => {
    await byId(console_, 'nav-audit').first().click()
    for (const action of ['message.delete', 'user.mute', 'user.unmute', 'room.warn', 'room.take_down_cover', 'broadcast.end', 'user.ban']) {
      const row = console_.locator(`[data-testid="audit-row"][data-action="${action}"]`)
      await row.first().waitFor()
      assert.equal(await row.count(), 1, `${action} is in the log once`)
    }
    await shot(console_, 'console-audit')
    const [download] = await Promise.all([console_.waitForEvent('download'), byId(console_, 'audit-export').click()])
    const csv = await readFile(await download.path(), 'utf8')
    for (const word of ['user.ban', 'Vera', 'told to go', 'The Boss']) assert.ok(csv.includes(word), `the file lacks ${word}`)
  })

  it('is closed to everybody else', async () => {
    const page = await open(streamer.context, stage, '/admin')
    await byId(page, 'console-signin-username').fill('streamer')
    await byId(page, 'console-signin-password').fill('pass-streamer')
    await byId(page, 'console-signin-submit').click()
    await page.getByRole('alert').first().waitFor()
    assert.equal(await byId(page, 'overview').count(), 0)
  })

  it('made nobody complain', () => {
    assert.deepEqual([...boss.complaints, ...streamer.complaints, ...viewer.complaints], [])
  })
})

/** Answers the dialog in which each act of the staff asks once, and waits until it said what it did. */
async function confirm(page, reason) {
  if (reason) await page.getByRole('dialog').getByRole('textbox').first().fill(reason)
  await byId(page, 'confirm').click()
  await byId(page, 'toast').first().waitFor()
}

async function signInByApi(stage, username, password) {
  const { deviceId } = await stage.call('auth.v1.AuthService/RegisterDevice', { platform: 'PLATFORM_CLI' })
  const { accessToken } = await stage.call('auth.v1.AuthService/SignIn', { deviceId, username, password })
  return {
    room: async (roomId) => (await stage.call('live.v1.LiveService/GetRoom', { roomId }, accessToken)).room,
  }
}
