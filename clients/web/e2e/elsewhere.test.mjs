// A house that lets people be on one device at a time: the other device's chat stops and says so, tabs of one browser are
// one device, and a person's word brings the chat back.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { accessible, byId, launch, line, open, person, rememberSignIn, say } from './browser.mjs'
import { openStage } from './stage.mjs'

describe('one device at a time', () => {
  let browser, stage, room, remembered

  before(async () => {
    stage = await openStage({ STOA_EDGE_DEVICES: 'device' })
    browser = await launch()
    const streamer = await stage.signUp('streamer', 'Sina')
    room = await stage.openRoom(streamer, 'A room')
    const ada = await stage.signUp('ada', 'Ada')
    // Two browsers, each with a device of its own.
    remembered = [await rememberSignIn(browser, stage, ada), await rememberSignIn(browser, stage, ada)]
  })
  after(async () => {
    await browser?.close()
    await stage?.close()
  })

  const chat = (page, status) => page.locator(`[data-testid="chat"][data-status="${status}"]`)

  it('is kept by browsers, with as many tabs as one likes', async () => {
    const [first, second] = await Promise.all(remembered.map((storageState) => person(browser, stage, { storageState })))
    const tabs = [await open(first.context, stage, `/room/${room.id}`), await open(first.context, stage, `/room/${room.id}`)]
    for (const tab of tabs) await chat(tab, 'open').waitFor()
    await say(tabs[0], 'from the first tab')
    for (const tab of tabs) await line(tab, 'from the first tab').waitFor()

    const other = await open(second.context, stage, `/room/${room.id}`)
    await chat(other, 'open').waitFor()
    for (const tab of tabs) await chat(tab, 'away').waitFor()
    await accessible(tabs[0], 'a chat that was disconnected')
    await say(other, 'from the other device')
    await line(other, 'from the other device').waitFor()
    assert.equal(await line(tabs[0], 'from the other device').count(), 0)

    await byId(tabs[0], 'chat-come-back').click()
    await chat(tabs[0], 'open').waitFor()
    await line(tabs[0], 'from the other device').waitFor()
    await chat(other, 'away').waitFor()
    assert.deepEqual([...first.complaints, ...second.complaints], [])
    await Promise.all([first.context.close(), second.context.close()])
  })
})
