// What the web app costs a browser, measured in Chromium against the built binary with a real encoder:
//
//   first   a first visit with a cold cache, until the picture moves; the JavaScript that it takes
//   busy    a room with 50 messages a second, then 200: long tasks and frames while the picture runs, danmaku on
//   hours   memory while the chat goes on, for --minutes (60) at --rate (10) messages a second
//
// Usage: STOA_BINARY=… node bench/web.mjs [first] [busy] [hours] [--minutes 60] [--rate 10]
import { parseArgs } from 'node:util'
import { byId, launch, open, person, pictureMoves } from '../e2e/browser.mjs'
import { openStage } from '../e2e/stage.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { minutes: { type: 'string', default: '60' }, rate: { type: 'string', default: '10' } },
})
const wanted = positionals.length > 0 ? positionals : ['first', 'busy']

const stage = await openStage()
const browser = await launch()
try {
  const streamer = await stage.signUp('streamer', 'Streamer')
  const room = await stage.openRoom(streamer, 'A busy room')
  stage.push(room.push, { picture: 'testsrc2=size=1280x720:rate=25' })
  await stage.reaches(room, 'LIVE', streamer)
  if (wanted.includes('first')) await measureFirst(room)
  if (wanted.includes('busy')) await measureBusy(room)
  if (wanted.includes('hours')) await measureHours(room, Number(values.minutes), Number(values.rate))
} finally {
  await browser.close()
  await stage.close()
}

/** First visits, each with a profile of its own. */
async function measureFirst(room) {
  const times = []
  let script = 0
  for (let visit = 0; visit < 7; visit++) {
    const { context } = await person(browser, stage)
    const page = await context.newPage()
    const client = await context.newCDPSession(page)
    await client.send('Network.enable')
    const scripts = new Set()
    let bytes = 0
    client.on('Network.responseReceived', ({ requestId, type }) => type === 'Script' && scripts.add(requestId))
    client.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
      if (scripts.has(requestId)) bytes += encodedDataLength
    })
    await page.goto(`${stage.url}/room/${room.id}`, { waitUntil: 'commit' })
    // Both by the page's own clock, from the start of the navigation.
    times.push(
      await page.evaluate(
        () =>
          new Promise((resolve) => {
            const look = () => {
              const video = document.querySelector('video')
              if (video && video.videoWidth > 0 && video.currentTime > 0) resolve(performance.now())
              else requestAnimationFrame(look)
            }
            look()
          }),
      ),
    )
    script = bytes
    await context.close()
  }
  times.sort((a, b) => a - b)
  console.log(`first visit to a moving picture, ms: median ${times[3].toFixed(0)}, worst of 7 ${times[6].toFixed(0)}`)
  console.log(`JavaScript of the room with its player: ${(script / 1_000).toFixed(0)} kB transferred`)

  const { context } = await person(browser, stage)
  const page = await context.newPage()
  const client = await context.newCDPSession(page)
  await client.send('Network.enable')
  let home = 0
  const scripts = new Set()
  client.on('Network.responseReceived', ({ requestId, type }) => type === 'Script' && scripts.add(requestId))
  client.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    if (scripts.has(requestId)) home += encodedDataLength
  })
  await page.goto(stage.url, { waitUntil: 'networkidle' })
  console.log(`JavaScript of the home page: ${(home / 1_000).toFixed(0)} kB transferred`)
  await context.close()
}

/** Writes into a room at a steady rate, by as many people as the limit for one of them asks for. */
async function crowd(room, perSecond) {
  const people = []
  for (let i = 0; i < Math.ceil(perSecond / 2); i++) people.push(await stage.signUp(`p${perSecond}n${i}`, `Person ${i}`))
  let sent = 0
  let failed = 0
  const startMs = Date.now()
  const timer = setInterval(() => {
    const due = Math.floor(((Date.now() - startMs) / 1_000) * perSecond)
    for (; sent < due; sent++) {
      const text = `message ${sent} ${'lorem ipsum dolor sit amet '.repeat(1 + (sent % 4))}`
      people[sent % people.length]
        .call('chat.v1.ChatService/SendMessage', {
          conversationId: room.conversationId,
          clientMsgId: `bench-${perSecond}-${startMs}-${sent}`,
          content: { text: { text } },
        })
        .catch(() => failed++)
    }
  }, 20)
  return {
    stop() {
      clearInterval(timer)
      return { sent, failed }
    },
  }
}

/** Opens the room with its picture, its chat and its danmaku. */
async function watch(room) {
  const { context, complaints } = await person(browser, stage)
  const page = await open(context, stage, `/room/${room.id}`)
  await pictureMoves(page)
  await page.locator('[data-testid="chat"][data-status="open"]').waitFor()
  return { context, page, complaints }
}

async function measureBusy(room) {
  for (const perSecond of [50, 200]) {
    const { context, page } = await watch(room)
    const writers = await crowd(room, perSecond)
    await page.waitForTimeout(3_000)
    const seen = await page.evaluate(
      (ms) =>
        new Promise((resolve) => {
          const tasks = []
          const frames = []
          new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration))).observe({
            type: 'longtask',
          })
          const until = performance.now() + ms
          let before = performance.now()
          const frame = (now) => {
            frames.push(now - before)
            before = now
            if (now < until) requestAnimationFrame(frame)
            else resolve({ tasks, frames })
          }
          requestAnimationFrame(frame)
        }),
      30_000,
    )
    const { sent, failed } = writers.stop()
    const lines = await byId(page, 'chat-message').count()
    seen.frames.sort((a, b) => a - b)
    const at = (share) => seen.frames[Math.floor(seen.frames.length * share)].toFixed(0)
    console.log(
      `${perSecond} messages a second for 30 s (${sent} sent, ${failed} refused, ${lines} lines in the page): ` +
        `${seen.tasks.length} long tasks, longest ${Math.max(0, ...seen.tasks).toFixed(0)} ms; ` +
        `frames, ms: median ${at(0.5)}, p99 ${at(0.99)}`,
    )
    await context.close()
  }
}

async function measureHours(room, minutes, perSecond) {
  const { context, page } = await watch(room)
  const client = await context.newCDPSession(page)
  const writers = await crowd(room, perSecond)
  console.log('minute  heap MB  DOM nodes  listeners')
  for (let minute = 0; minute <= minutes; minute++) {
    if (minute > 0) await page.waitForTimeout(60_000)
    await client.send('HeapProfiler.collectGarbage')
    const { usedSize } = await client.send('Runtime.getHeapUsage')
    const { nodes, jsEventListeners } = await client.send('Memory.getDOMCounters')
    if (minute % 5 === 0 || minute < 5 || minute === minutes) {
      console.log(`${String(minute).padStart(6)}  ${(usedSize / 1e6).toFixed(1).padStart(7)}  ${String(nodes).padStart(9)}  ${String(jsEventListeners).padStart(9)}`)
    }
  }
  console.log(`${writers.stop().sent} messages in ${minutes} minutes`)
  await context.close()
}
