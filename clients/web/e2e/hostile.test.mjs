// What people write is text, whatever it is: it runs nothing, and it breaks no layout.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { byId, desktop, fits, launch, open, person, phone, pictureMoves, shot } from './browser.mjs'
import { openStage } from './stage.mjs'

const scripts = [
  `<img src=x onerror="window.hacked=1">`,
  `<script>window.hacked=1</script>`,
  `"><svg onload=window.hacked=1>`,
  `javascript:window.hacked=1`,
  `{{ window.hacked = 1 }}`,
  `\${window.hacked=1}`,
]
const tricks = [
  '\u202Egnirts sdrawkcab\u202C', // an override of direction
  '\u2067مرحبا\u2069 hello \u202E', // isolates and an override that is never closed
  'a\u200Bb\u200Cc\u200Dd\uFEFFe', // zero-width characters
  'Z̸̡̢̛̘͖͙͚̫̬̰̱̲̳̹̺̻̼̽̾̿̀́͂̓̈́'.repeat(5), // marks piled on letters
]
const long = {
  word: 'w'.repeat(500),
  emoji: '😀'.repeat(500),
  lines: 'line\n'.repeat(90),
}

describe('hostile words', () => {
  let browser, stage, room, streamer

  before(async () => {
    stage = await openStage()
    streamer = await stage.signUp('streamer', '<b>Sina</b> مرحبا')
    room = await stage.openRoom(streamer, `<img src=x onerror=window.hacked=1> ${'W'.repeat(40)}`)
    await stage.openRoom(streamer, 'مرحبا بكم evil title ' + '😀'.repeat(30))
    stage.push(room.push)
    await stage.reaches(room, 'LIVE', streamer)
    browser = await launch()
  })
  after(async () => {
    await browser?.close()
    await stage?.close()
  })

  async function say(who, text) {
    const clientMsgId = `hostile-${Math.random()}`
    await who.call('chat.v1.ChatService/SendMessage', {
      conversationId: room.conversationId,
      clientMsgId,
      content: { text: { text } },
    })
  }

  it('refuses what is too long, and keeps the rest as text', async () => {
    // A room's words are shorter than others.
    for (const length of [501, 10_000]) await assert.rejects(say(streamer, 'w'.repeat(length)), /invalid_argument/)
    // A name or a title that could rewrite the line that it stands in is refused with a word.
    await assert.rejects(stage.signUp('trick', 'Sina\u202E'), { reason: 'INVALID_ARGUMENT' })
    await assert.rejects(stage.openRoom(streamer, '\u202Eevil title'), { reason: 'TITLE_INVALID' })
    const people = await Promise.all([0, 1, 2].map((i) => stage.signUp(`hostile${i}`, ['<script>x</script>', 'N'.repeat(32), '😀'.repeat(32)][i])))
    const all = [...scripts, ...tricks, ...Object.values(long)]
    for (const [i, text] of all.entries()) await say(people[i % people.length], text)

    for (const viewport of [desktop, phone]) {
      const { context, complaints } = await person(browser, stage, { viewport })
      const page = await open(context, stage)
      await byId(page, 'room-card').first().waitFor()
      await fits(page, 'home')
      await shot(page, `hostile-home-${viewport.width}`)
      await page.locator(`[data-room="${room.id}"]`).click()
      await pictureMoves(page, 1)
      await byId(page, 'chat-message').first().waitFor()
      // While they also cross the picture.
      for (const text of [scripts[0], tricks[0], long.emoji]) await say(streamer, text)
      await byId(page, 'chat-message').filter({ hasText: scripts[0] }).last().waitFor()
      await page.waitForTimeout(500)
      await fits(page, 'room')
      await shot(page, `hostile-room-${viewport.width}`)
      // No line reaches out of its list.
      const out = await page.evaluate(() => {
        const list = document.querySelector('[data-testid="chat"]').getBoundingClientRect()
        return [...document.querySelectorAll('[data-testid="chat-message"]')].filter((line) => {
          const box = line.getBoundingClientRect()
          return box.left < list.left - 1 || box.right > list.right + 1
        }).length
      })
      assert.equal(out, 0, 'lines that reach out of the chat')
      assert.equal(await page.evaluate(() => window.hacked), undefined)
      assert.deepEqual(complaints, [])
      await context.close()
    }
  })

  it('is refused by pages that frame us, and asks nobody else', async () => {
    const answer = await fetch(stage.url)
    assert.equal(answer.headers.get('x-frame-options'), 'DENY')
    const policy = answer.headers.get('content-security-policy')
    assert.match(policy, /frame-ancestors 'none'/)
    assert.doesNotMatch(policy, /unsafe|https?:/)
    assert.equal(answer.headers.get('set-cookie'), null, 'there are no cookies to steal')
  })
})
