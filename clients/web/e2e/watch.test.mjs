// People watch and talk in a real browser, also while the server is away.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { byId, launch, line, open, person, phone, pictureMoves, say, shot, signUp } from './browser.mjs'
import { openStage, until } from './stage.mjs'

describe('the watch page', () => {
  let browser, stage, room, streamer

  before(async () => {
    stage = await openStage()
    streamer = await stage.signUp('streamer', 'Streamer')
    room = await stage.openRoom(streamer, 'A room to watch')
    // A keyframe only every eight seconds: the player has to catch up with the live edge by itself.
    stage.push(room.push, { gop: 200 })
    await stage.reaches(room, 'LIVE', streamer)
    browser = await launch()
  })
  after(async () => {
    await browser?.close()
    await stage?.close()
  })
  const openRoom = (context) => open(context, stage, `/room/${room.id}`)

  it('lists the room that is on the air', async () => {
    const { context, complaints } = await person(browser, stage)
    const page = await open(context, stage)
    const card = page.locator(`[data-testid="rooms-live"] [data-room="${room.id}"]`)
    await card.waitFor()
    await shot(page, 'home')
    await card.click()
    await pictureMoves(page)
    assert.equal(await byId(page, 'broadcast-state').first().getAttribute('data-state'), 'live')
    assert.deepEqual(complaints, [])
    await context.close()
  })

  it('lets two people watch one room and read each other, and goes on after a restart of the server', async () => {
    const [ada, ben] = await Promise.all([person(browser, stage), person(browser, stage, { viewport: phone })])
    const [adaPage, benPage] = await Promise.all([openRoom(ada.context), openRoom(ben.context)])
    await signUp(adaPage, 'ada', 'Ada')
    await signUp(benPage, 'ben', 'Ben')

    async function talk(when) {
      for (const [page, name] of [[adaPage, 'Ada'], [benPage, 'Ben']]) {
        const text = `hello from ${name} ${when}`
        await say(page, text)
        for (const reader of [adaPage, benPage]) {
          await line(reader, text).waitFor({ timeout: 20_000 })
          assert.equal(await line(reader, text).count(), 1, 'a message is shown once')
        }
      }
      assert.equal(await byId(adaPage, 'chat-outgoing').count(), 0, 'what was sent is no longer on its way')
    }

    await talk('before')
    const [seen] = await Promise.all([pictureMoves(adaPage), pictureMoves(benPage)])
    assert.equal(seen.engine, 'ws-flv')
    await adaPage.waitForFunction(() => Number(document.querySelector('[data-testid="viewer-count"]').dataset.count) >= 2)
    await byId(adaPage, 'like-button').click()
    await Promise.all([shot(adaPage, 'room-desktop'), shot(benPage, 'room-phone')])

    await stage.stop()
    for (const page of [adaPage, benPage]) {
      await page.locator('[data-testid="chat"][data-status="reconnecting"]').waitFor({ timeout: 20_000 })
    }
    await stage.start()
    stage.push(room.push)
    await Promise.all([pictureMoves(adaPage), pictureMoves(benPage)])
    for (const page of [adaPage, benPage]) {
      await page.locator('[data-testid="chat"][data-status="open"]').waitFor({ timeout: 30_000 })
    }
    await talk('after')
    assert.equal(await line(adaPage, 'hello from Ben before').count(), 1, 'what was there before is still there')
    assert.deepEqual([...ada.complaints, ...ben.complaints], [])
    await Promise.all([ada.context.close(), ben.context.close()])
  })

  it('takes the talk up where a cut of the network has left it', async () => {
    const { context, complaints } = await person(browser, stage)
    const page = await context.newPage()
    const connections = []
    let isCut = false
    await page.routeWebSocket('**/edge/v1', (tab) => {
      if (isCut) {
        void tab.close({ code: 4000 })
        return
      }
      const connection = { tab, server: tab.connectToServer(), sent: [] }
      tab.onMessage((frame) => {
        connection.sent.push(Buffer.from(frame))
        connection.server.send(frame)
      })
      connections.push(connection)
    })
    await page.goto(`${stage.url}/room/${room.id}`)
    await page.locator('[data-testid="chat"][data-status="open"]').waitFor()
    const talk = await talkers(stage, room, 6)
    await talk(3)
    isCut = true
    for (const { tab, server } of connections) await Promise.all([tab.close({ code: 4000 }), server.close({ code: 4000 })])
    await page.locator('[data-testid="chat"][data-status="reconnecting"]').waitFor()
    await talk(3)
    isCut = false
    await page.locator('[data-testid="chat"][data-status="open"]').waitFor()
    const said = await talk(3)
    const asksOfRoom = ({ sent }) => sent.filter((frame) => frame.includes(room.conversationId)).length
    assert.equal(connections.length, 2)
    assert.ok(asksOfRoom(connections[0]) > 0)
    assert.equal(asksOfRoom(connections[1]), 0, 'a session that goes on enters and reads nothing again')
    await showsInOrder(page, said)
    assert.deepEqual(complaints, [])
    await context.close()
  })

  it('loses, doubles and turns round nothing when the server is restarted in mid-talk', async () => {
    const { context, complaints } = await person(browser, stage, { viewport: { width: 1440, height: 3_000 } })
    const page = await openRoom(context)
    await page.locator('[data-testid="chat"][data-status="open"]').waitFor()
    const talk = await talkers(stage, room, 12)
    let isOver = false
    const said = (async () => {
      while (!isOver) {
        await talk(1)
        await page.waitForTimeout(100)
      }
      return talk(1)
    })()
    await stage.restart()
    stage.push(room.push)
    await page.locator('[data-testid="chat"][data-status="open"]').waitFor()
    isOver = true
    await showsInOrder(page, await said)
    assert.deepEqual(complaints, [])
    await context.close()
  })

  it('plays in four tabs of one browser at once', async () => {
    const { context, complaints } = await person(browser, stage, { viewport: { width: 800, height: 600 } })
    const tabs = await Promise.all([1, 2, 3, 4].map(() => openRoom(context)))
    await Promise.all(tabs.map((tab) => pictureMoves(tab, 2, 60_000)))
    // A call still gets through beside four pictures and four chats.
    for (const tab of tabs) await tab.locator('[data-testid="chat"][data-status="open"]').waitFor({ timeout: 15_000 })
    await signUp(tabs[0], 'cyd', 'Cyd')
    // Who signs in does so in every tab.
    for (const tab of tabs) await byId(tab, 'chat-input').waitFor({ timeout: 15_000 })
    await Promise.all(tabs.map((tab) => pictureMoves(tab, 2, 60_000)))
    await say(tabs[3], 'from the fourth tab')
    for (const tab of tabs) await line(tab, 'from the fourth tab').waitFor({ timeout: 10_000 })
    assert.deepEqual(complaints, [])
    await context.close()
  })
})

/**
 * Some people who talk in a room in turn, by the API. The returned function has so many more messages stored, however
 * often that takes, and returns all of them in their order; the same id makes a repeated one harmless.
 */
async function talkers(stage, room, count) {
  const name = `talker${Math.random().toString(36).slice(2, 8)}`
  const people = []
  for (let i = 0; i < count; i++) people.push(await stage.signUp(`${name}${i}`))
  const said = []
  return async (more) => {
    for (let i = 0; i < more; i++) {
      const text = `${name} says ${said.length}.`
      const message = { conversationId: room.conversationId, clientMsgId: `${name}-${said.length}-id`, content: { text: { text } } }
      const { message: stored } = await until('a message is stored', () => people[said.length % count].call('chat.v1.ChatService/SendMessage', message))
      said.push({ text, seq: Number(stored.seq) })
    }
    return said
  }
}

/** Waits until the last of the messages is shown, and holds the page to showing all of them once and in order. */
async function showsInOrder(page, said) {
  const from = said[0].seq
  const read = () =>
    byId(page, 'chat-message').evaluateAll((lines) => lines.map(({ dataset, textContent }) => ({ seq: Number(dataset.seq), text: textContent })))
  await line(page, said.at(-1).text).waitFor()
  const shown = (await read()).filter(({ seq }) => seq >= from)
  assert.deepEqual(shown.map(({ seq }) => seq), said.map(({ seq }) => seq))
  for (const [i, { text }] of said.entries()) assert.ok(shown[i].text.includes(text), `${shown[i].text} instead of ${text}`)
}
