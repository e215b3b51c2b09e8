// What the browser tests share: where the server is, the browser, and people in it.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

/** Where the running server is. */
export const url = process.env.STOA_URL ?? 'http://127.0.0.1:8080'
/** A room that is on the air. */
export const roomId = process.env.STOA_E2E_ROOM ?? ''
/** Folder for screenshots; none are taken when it is not set. */
const shots = process.env.E2E_SHOTS ?? ''

export const roomUrl = `${url}/room/${encodeURIComponent(roomId)}`

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--autoplay-policy=no-user-gesture-required',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

/** A browser profile of its own; collects what its pages complain about. */
export async function person(browser, options = {}) {
  const context = await browser.newContext({ locale: 'en-US', viewport: { width: 1440, height: 900 }, ...options })
  const complaints = []
  context.on('weberror', (event) => complaints.push(String(event.error())))
  context.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) complaints.push(message.text())
  })
  return { context, complaints }
}

/** A page in the room, with test ids at hand. */
export async function openRoom(context) {
  const page = await context.newPage()
  await page.goto(roomUrl)
  return page
}

export const byId = (page, id) => page.getByTestId(id)

/** Signs a new person up by the page's own forms, from the room, and returns to it. */
export async function signUp(page, username, nickname) {
  await byId(page, 'chat-sign-in').click()
  await byId(page, 'signin-mode').click()
  await byId(page, 'signin-username').fill(username)
  await byId(page, 'signin-password').fill(`pass-${username}`)
  await byId(page, 'signup-nickname').fill(nickname)
  await byId(page, 'signin-submit').click()
  await byId(page, 'chat-input').waitFor({ timeout: 15_000 })
}

/** Waits until the picture has moved on by some seconds; fails with what the player says of itself. */
export async function pictureMoves(page, seconds = 2, timeout = 30_000) {
  const video = byId(page, 'player-video')
  await video.waitFor({ state: 'attached', timeout })
  const read = () => video.evaluate((element) => ({ at: element.currentTime, size: element.videoWidth, ...element.dataset }))
  const until = Date.now() + timeout
  let first
  let last
  while (Date.now() < until) {
    last = await read()
    if (last.size > 0 && last.at > 0) {
      first ??= last
      if (last.at - first.at >= seconds) return last
    }
    await page.waitForTimeout(200)
  }
  throw new Error(`the picture does not move: ${JSON.stringify({ first, last })}`)
}

export async function shot(page, name) {
  if (!shots) return
  await mkdir(shots, { recursive: true })
  await page.screenshot({ path: join(shots, `${name}.png`) })
}
