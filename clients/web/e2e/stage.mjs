// A server of its own for each file of browser tests: the binary on free ports with an empty data folder, real encoders,
// and people made through the API where how they came is not what is tested.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const binary = process.env.STOA_BINARY
/** How long what must come may take; generous, for a slow machine only takes longer. */
export const patience = 45_000

/** Polls until `check` returns something true, and returns it. */
export async function until(what, check, timeoutMs = patience) {
  const deadline = Date.now() + timeoutMs
  let last
  for (;;) {
    try {
      last = await check()
      if (last) return last
    } catch (error) {
      last = error
    }
    if (Date.now() > deadline) throw new Error(`waited too long until ${what}: ${String(last)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Starts a server. Options are settings of it, such as STOA_LIVE_RECONNECT_WINDOW. */
export async function openStage(settings = {}) {
  assert.ok(binary, 'STOA_BINARY names no binary')
  const dataDir = await mkdtemp(join(tmpdir(), 'stoa-browser-'))
  const stage = new Stage(dataDir, settings)
  await stage.start()
  return stage
}

class Stage {
  #settings
  #dataDir
  #process
  #log = ''
  #out = ''
  #encoders = new Set()
  #rtmp = '127.0.0.1:0'
  /** Address of pages and API. */
  url = 'http://127.0.0.1:0'

  constructor(dataDir, settings) {
    this.#dataDir = dataDir
    this.#settings = settings
  }

  async start() {
    const clean = Object.entries(process.env).filter(([name]) => !name.startsWith('STOA_'))
    this.#process = spawn(binary, ['serve'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...Object.fromEntries(clean),
        GORACE: 'atexit_sleep_ms=100',
        STOA_HTTP_ADDR: this.url.replace('http://', ''),
        STOA_RTMP_ADDR: this.#rtmp,
        STOA_DATA_DIR: this.#dataDir,
        STOA_RATE_LIMIT: '0',
        STOA_EDGE_ADDR: '127.0.0.1:0',
        STOA_LIVE_COVER_INTERVAL: '2s',
        ...this.#settings,
      },
    })
    const from = this.#log.length
    this.#process.stderr.on('data', (text) => (this.#log += text))
    this.#process.stdout.on('data', (text) => (this.#out += text))
    await until('the server is up', async () => {
      assert.equal(this.#process.exitCode, null, `the server ended:\n${this.#log.slice(-4_000)}`)
      const up = /msg="stoa is up" http=(\S+) rtmp=(\S+)/.exec(this.#log.slice(from))
      if (!up) return false
      this.url = `http://${up[1]}`
      this.#rtmp = up[2]
      return (await fetch(`${this.url}/readyz`)).ok
    })
  }

  /** Stops the server as an operator would. */
  async stop() {
    const process = this.#process
    if (!process || process.exitCode !== null) return
    process.kill('SIGTERM')
    await once(process, 'exit')
    assert.equal(process.exitCode, 0, `the server did not stop cleanly:\n${this.#log.slice(-4_000)}`)
  }

  async restart() {
    await this.stop()
    await this.start()
  }

  /** The link that makes the first administrator; undefined where none was printed. */
  async setupLink() {
    const path = await until('the link is printed', () => /\/admin\/setup#(\S+)/.exec(this.#out)?.[0])
    return this.url + path
  }

  get output() {
    return this.#out
  }

  /** One call with JSON. Throws with the reason of a refusal. */
  async call(rpc, message = {}, token = '') {
    const answer = await fetch(`${this.url}/stoa.${rpc}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
      body: JSON.stringify(message),
    })
    const body = await answer.json()
    if (answer.ok) return body
    const reason = body.details?.map(({ debug }) => debug?.reason).find(Boolean)
    throw Object.assign(new Error(`${rpc}: ${body.code} ${reason ?? ''} ${body.message}`), { reason })
  }

  /** Signs a person up through the API. */
  async signUp(username, nickname = username) {
    const { deviceId } = await this.call('auth.v1.AuthService/RegisterDevice', { platform: 'PLATFORM_CLI', model: 'test' })
    const password = `pass-${username}`
    const { user, accessToken } = await this.call('auth.v1.AuthService/SignUp', { deviceId, username, password, nickname })
    const call = (rpc, message) => this.call(rpc, message, accessToken)
    return { id: user.id, username, nickname, password, call }
  }

  /** Opens a room of a person and returns it with the address to push to. */
  async openRoom(owner, title, categoryId = 'technology') {
    const { room } = await owner.call('live.v1.LiveService/CreateRoom', {
      title,
      categoryId,
      requestId: randomUUID(),
    })
    const key = await owner.call('live.v1.LiveService/IssueStreamKey', { roomId: room.id })
    return { ...room, push: `${key.rtmpUrl}/${key.streamKey}` }
  }

  /** Waits until a room is in a state such as "LIVE". */
  async reaches(room, state, owner) {
    await until(`the room is ${state}`, async () => {
      const { broadcast } = await owner.call('live.v1.LiveService/GetRoom', { roomId: room.id })
      return broadcast?.state === `BROADCAST_STATE_${state}`
    })
  }

  /** Starts ffmpeg, which streams in real time until it is stopped or cut. */
  push(address, { picture = 'testsrc2=size=640x360:rate=25', gop = 50, bitrate = '1500k' } = {}) {
    const encoder = spawn(
      'ffmpeg',
      [
        ...['-hide_banner', '-loglevel', 'warning', '-nostdin', '-re', '-f', 'lavfi', '-i', picture],
        ...['-re', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=44100'],
        ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p', '-threads', '1'],
        ...['-b:v', bitrate, '-maxrate', bitrate, '-bufsize', bitrate, '-g', `${gop}`, '-keyint_min', `${gop}`],
        ...['-c:a', 'aac', '-b:a', '96k', '-f', 'flv', address],
      ],
      { stdio: 'ignore' },
    )
    this.#encoders.add(encoder)
    return {
      async stop() {
        if (encoder.exitCode !== null || encoder.signalCode !== null) return
        encoder.kill('SIGTERM')
        await once(encoder, 'exit')
      },
    }
  }

  /** Ends everything; fails when the server raced, panicked, or met an error that it did not expect. */
  async close() {
    for (const encoder of this.#encoders) if (encoder.exitCode === null) encoder.kill('SIGKILL')
    await this.stop()
    await rm(this.#dataDir, { recursive: true, force: true })
    for (const sign of ['DATA RACE', 'panic', 'fatal error:', 'level=ERROR']) {
      const at = this.#log.indexOf(sign)
      assert.equal(at, -1, `the server's log contains ${sign}:\n${this.#log.slice(Math.max(0, at - 500), at + 6_000)}`)
    }
  }
}
