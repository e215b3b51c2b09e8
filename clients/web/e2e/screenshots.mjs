// Takes the pictures of the book: a small world of rooms, people and talk on a server of its own, seen by a viewer, a
// streamer and an operator. Usage: STOA_BINARY=… E2E_SHOTS=folder node e2e/screenshots.mjs
import assert from 'node:assert/strict'
import { byId, desktop, launch, open, person, phone, pictureMoves, shot } from './browser.mjs'
import { openStage, until } from './stage.mjs'

assert.ok(process.env.E2E_SHOTS, 'E2E_SHOTS names no folder')

/** Who is on the air, with what ffmpeg can draw by itself. */
const channels = [
  { name: 'Mira', title: 'Falling into the Mandelbrot set', category: 'learning', picture: 'mandelbrot=size=640x360:rate=25:maxiter=700:start_x=-0.7463:start_y=0.1102:start_scale=0.02:end_scale=0.008:end_pts=4000:inner=black' },
  { name: '老周', title: '深夜电台：听歌聊天', category: 'music', picture: 'gradients=size=640x360:rate=15:c0=0x123047:c1=0x2f7f79:c2=0xd9a05b:nb_colors=3:speed=0.02' },
  { name: 'Jonas', title: 'Game of life, no commentary', category: 'games', picture: 'life=size=320x180:rate=15:mold=12:ratio=0.12:death_color=#1b3b5f:life_color=#f2c14e,scale=640:360:flags=neighbor' },
  { name: 'Aiko', title: 'Patterns, slowly', category: 'talk', picture: 'sierpinski=size=640x360:rate=15:type=carpet' },
]
const talk = [
  ['Lena', 'Good evening everyone 👋'],
  ['小雨', '刚来，今天讲什么？'],
  ['Tom', 'We are somewhere around −0.75 + 0.1i'],
  ['Lena', 'the colours tonight are lovely'],
  ['Priya', 'How deep are we now?'],
  ['小雨', '好像万花筒 ✨'],
  ['Tom', '@Priya about 10⁻⁶ wide by now'],
  ['Priya', 'That is wild'],
  ['Noor', 'first time here, this is so calm'],
  ['Lena', 'welcome Noor ☕'],
  ['小雨', '主播声音真好听'],
  ['Noor', 'thank you all'],
]

const stage = await openStage({ STOA_LIVE_COVER_INTERVAL: '3s' })
const browser = await launch()
try {
  const rooms = []
  for (const channel of channels) {
    const owner = await stage.signUp(`owner${rooms.length}`, channel.name)
    const room = await stage.openRoom(owner, channel.title, channel.category)
    stage.push(room.push, { picture: channel.picture, gop: 40 })
    rooms.push({ ...room, owner })
  }
  for (const room of rooms) await stage.reaches(room, 'LIVE', room.owner)
  const offAir = await stage.signUp('resting', 'Camille')
  await stage.openRoom(offAir, 'Sourdough on Sundays', 'other')
  const people = {}
  for (const name of new Set(talk.map(([who]) => who))) people[name] = await stage.signUp(`guest${Object.keys(people).length}`, name)
  const say = (who, text, n) =>
    people[who].call('chat.v1.ChatService/SendMessage', {
      conversationId: rooms[0].conversationId,
      clientMsgId: `talk-${n}-${Date.now()}`,
      content: { text: { text } },
    })
  for (const [i, [who, text]] of talk.entries()) await say(who, text, i)
  await until('covers are there', async () => {
    const { items } = await stage.call('live.v1.LiveService/ListRooms', { onlyLive: true })
    return items.length === channels.length && items.every(({ room }) => room.coverUrl)
  })
  /** Keeps messages crossing the picture while it is looked at. */
  async function keepTalking() {
    for (const [i, [who, text]] of talk.slice(0, 8).entries()) {
      await say(who, text, `again-${i}`)
      await new Promise((resolve) => setTimeout(resolve, 350))
    }
  }

  // Whoever watches makes the numbers.
  const crowd = await person(browser, stage, { viewport: { width: 500, height: 400 } })
  for (const room of rooms.slice(1)) await open(crowd.context, stage, `/room/${room.id}`)

  const viewer = await person(browser, stage, { colorScheme: 'light' })
  const home = await open(viewer.context, stage)
  await byId(home, 'room-card').nth(4).waitFor()
  await home.waitForTimeout(1_500)
  await shot(home, 'home')

  const dark = await person(browser, stage, { colorScheme: 'dark' })
  const room = await open(dark.context, stage, `/room/${rooms[0].id}`)
  await pictureMoves(room, 3)
  await keepTalking()
  await shot(room, 'room')

  const small = await person(browser, stage, { viewport: phone, locale: 'zh-CN', deviceScaleFactor: 2 })
  const mobile = await open(small.context, stage, `/room/${rooms[0].id}`)
  await pictureMoves(mobile, 2)
  await keepTalking()
  await shot(mobile, 'room-phone')

  const streamer = await person(browser, stage)
  const studio = await open(streamer.context, stage, '/signin?next=/live')
  await byId(studio, 'signin-username').fill('owner0')
  await byId(studio, 'signin-password').fill('pass-owner0')
  await byId(studio, 'signin-submit').click()
  await byId(studio, 'health').waitFor({ timeout: 60_000 })
  await studio.waitForTimeout(60_000)
  await shot(studio, 'studio')

  const boss = await person(browser, stage, { viewport: desktop })
  const console_ = await boss.context.newPage()
  await console_.goto(await stage.setupLink())
  await byId(console_, 'setup-username').fill('boss')
  await byId(console_, 'setup-password').fill('pass-boss-1')
  await byId(console_, 'setup-nickname').fill('Operator')
  await byId(console_, 'setup-submit').click()
  await byId(console_, 'overview').waitFor()
  await console_.waitForTimeout(6_000)
  await shot(console_, 'console')
  await console_.goto(`${stage.url}/admin/rooms/${rooms[0].id}`)
  await byId(console_, 'mod-message').first().waitFor()
  await console_.waitForTimeout(3_000)
  await shot(console_, 'console-room')
} finally {
  await browser.close()
  await stage.close()
}
