// What the browser tests share: the browser, people in it, and what they look for.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

/** Folder for screenshots; none are taken when it is not set. */
const shots = process.env.E2E_SHOTS ?? ''

export const desktop = { width: 1440, height: 900 }
export const phone = { width: 390, height: 844 }

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

/**
 * A browser profile of its own on a stage. Collects what its pages complain about: errors of scripts, breaches of the
 * policy, requests to anybody but the stage, and anything in the address of the long connection.
 */
export async function person(browser, stage, options = {}) {
  const context = await browser.newContext({ locale: 'en-US', viewport: desktop, ...options })
  context.setDefaultTimeout(30_000)
  const complaints = []
  context.on('weberror', (event) => complaints.push(String(event.error())))
  context.on('console', (message) => {
    if (/Content Security Policy|\[Vue warn\]|\[intlify\]/i.test(message.text())) complaints.push(message.text())
  })
  const isStage = (host) => host === new URL(stage.url).host
  context.on('request', (request) => {
    const { protocol, host } = new URL(request.url())
    if (protocol.startsWith('http') && !isStage(host)) complaints.push(`a request to ${request.url()}`)
  })
  context.on('page', (page) =>
    page.on('websocket', (socket) => {
      const { host, pathname, search } = new URL(socket.url())
      if (!isStage(host) || (pathname.startsWith('/edge') && search !== '')) complaints.push(`a WebSocket to ${socket.url()}`)
    }),
  )
  return { context, complaints }
}

export const byId = (page, id) => page.getByTestId(id)

/** Opens a page of the stage. */
export async function open(context, stage, path = '/') {
  const page = await context.newPage()
  await page.goto(stage.url + path)
  return page
}

/** Signs a new person up by the dialog over the page. */
export async function signUp(page, username, nickname) {
  await byId(page, 'chat-sign-in').click()
  await byId(page, 'signin-mode').click()
  await fillSignUp(page, username, nickname)
  await byId(page, 'chat-input').waitFor({ timeout: 15_000 })
}

export async function fillSignUp(page, username, nickname) {
  await byId(page, 'signin-username').fill(username)
  await byId(page, 'signin-password').fill(`pass-${username}`)
  await byId(page, 'signup-nickname').fill(nickname)
  await byId(page, 'signin-submit').click()
}

export async function say(page, text) {
  await byId(page, 'chat-input').fill(text)
  await byId(page, 'chat-send').click()
}

/** Makes the first administrator by the printed link, and returns what their browser remembers. */
export async function rememberFirstAdmin(browser, stage) {
  const { context } = await person(browser, stage)
  const page = await context.newPage()
  await page.goto(await stage.setupLink())
  await byId(page, 'setup-username').fill('boss')
  await byId(page, 'setup-password').fill('pass-boss-1')
  await byId(page, 'setup-nickname').fill('The Boss')
  await byId(page, 'setup-submit').click()
  await byId(page, 'overview').waitFor()
  const state = await context.storageState()
  await context.close()
  return state
}

/** Signs somebody in by the page, and returns what their browser remembers. */
export async function rememberSignIn(browser, stage, { username, password }) {
  const { context } = await person(browser, stage)
  const page = await open(context, stage, '/signin')
  await byId(page, 'signin-username').fill(username)
  await byId(page, 'signin-password').fill(password)
  await byId(page, 'signin-submit').click()
  await byId(page, 'home').waitFor()
  const state = await context.storageState()
  await context.close()
  return state
}

/** The line of the chat that says this. */
export const line = (page, text) => byId(page, 'chat-message').filter({ hasText: text })

/** Waits until the picture has moved on by some seconds; fails with what the player says of itself. */
export async function pictureMoves(page, seconds = 2, timeout = 45_000) {
  const video = byId(page, 'player-video')
  await video.waitFor({ state: 'attached', timeout })
  const read = () => video.evaluate((element) => ({ at: element.currentTime, size: element.videoWidth, ...element.dataset }))
  const until = Date.now() + timeout
  let first
  let last
  while (Date.now() < until) {
    last = await read()
    if (last.size > 0 && last.at > 0) {
      // A player that began anew begins with the time of its own.
      if (!first || last.at < first.at) first = last
      if (last.at - first.at >= seconds) return last
    }
    await page.waitForTimeout(200)
  }
  throw new Error(`the picture does not move: ${JSON.stringify({ first, last })}`)
}

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Fails when axe-core finds something serious on the page (WCAG 2.2 A and AA, and its best practices). */
export async function accessible(page, what) {
  // evaluate() is not bound by the page's policy; a script element would be.
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }))
  const serious = violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} (${failureSummary})`).join('; ')}`)
  assert.deepEqual(serious, [], what)
}

/** Fails when the page can be scrolled sideways or something sticks out of it. */
export async function fits(page, what) {
  const { scroll, client } = await page.evaluate(() => ({
    scroll: document.documentElement.scrollWidth,
    client: document.documentElement.clientWidth,
  }))
  assert.ok(scroll <= client, `${what}: the page is ${scroll} px wide in a window of ${client} px`)
}

export async function shot(page, name, folder = shots) {
  if (!folder) return
  await mkdir(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`) })
}
