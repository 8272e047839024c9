/** Clients that take their time on purpose, over real sockets: each is cut, and others do not notice. */
import assert from 'node:assert/strict'
import { connect as connect2, constants } from 'node:http2'
import { after, before, describe, it } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { served, type Served } from './http-server.test-support.ts'

const LIMITS = { headersTimeoutMs: 400, bodyTimeoutMs: 800, idleTimeoutMs: 700, headersBytesMax: 16 * 1024, bodyRoomBytes: 1_000_000, closeTimeoutMs: 200 }
const PATH = '/api/v1/namespaces/default/configmaps'

describe('slow and greedy clients', { timeout: 180_000 }, () => {
  let s: Served
  before(async () => { s = await served({}, LIMITS) })
  after(() => s.http.close())

  const dial = (protocol: 'h2' | 'http/1.1'): Promise<TLSSocket> => new Promise((resolve, reject) => {
    const socket = connect({ port: s.port, host: '127.0.0.1', ca: s.ca, cert: s.admin.cert, key: s.admin.key, ALPNProtocols: [protocol], servername: '' }, () => resolve(socket))
    socket.on('error', reject)
  })

  /** Sends `bytes` one by one until the server has had enough; tells how long that took and what it said. */
  async function trickle(socket: TLSSocket, head: string | Buffer, byte: string | Buffer): Promise<{ ms: number; said: string }> {
    const begun = performance.now()
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', () => { /* cut while writing */ })
    socket.write(head)
    const timer = setInterval(() => socket.write(byte), 50)
    await new Promise<void>((resolve) => socket.on('close', () => resolve()).on('end', () => socket.destroy()))
    clearInterval(timer)
    return { ms: performance.now() - begun, said: Buffer.concat(chunks).toString('latin1') }
  }

  it('headers that never end: 408, and the connection goes', async () => {
    const { ms, said } = await trickle(await dial('http/1.1'), 'GET /version HTTP/1.1\r\nhost: x\r\nx-slow: ', 'a')
    assert.match(said, /^HTTP\/1\.1 408 /)
    assert.ok(ms > 300, `${ms} ms`)
  })
  it('a body that never ends: 408, and the connection goes', async () => {
    const { ms, said } = await trickle(await dial('http/1.1'), `POST ${PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{`, ' ')
    assert.match(said, /^HTTP\/1\.1 408 /)
    assert.ok(ms > 600, `${ms} ms`)
  })
  it('headers beyond the limit: 431', async () => {
    const socket = await dial('http/1.1')
    const { said } = await trickle(socket, `GET /version HTTP/1.1\r\nhost: x\r\nx-big: ${'a'.repeat(20_000)}\r\n\r\n`, '')
    assert.match(said, /^HTTP\/1\.1 431 /)
  })
  it('HTTP/2 that never says hello is cut', async () => {
    const { ms } = await trickle(await dial('h2'), 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '')
    assert.ok(ms > 300, `${ms} ms`)
  })
  it('HTTP/2 that only pings is idle', async () => {
    const hello = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])])
    const ping = Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])
    const { ms } = await trickle(await dial('h2'), hello, ping)
    assert.ok(ms > 500, `${ms} ms`)
  })
  it('HTTP/2 with half a header is idle, too', async () => {
    const hello = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])])
    // HEADERS without END_HEADERS, then CONTINUATION frames of one byte (0x82: `:method: GET`).
    const headers = Buffer.from([0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82])
    await trickle(await dial('h2'), Buffer.concat([hello, headers]), Buffer.from([0, 0, 0, 9, 0, 0, 0, 0, 1]))
  })
  it('a body over HTTP/2 that never ends: its stream goes, others stay', async () => {
    const session = connect2(`https://127.0.0.1:${s.port}`, { ca: s.ca, cert: s.admin.cert, key: s.admin.key })
    const slow = session.request({ ':method': 'POST', ':path': PATH, 'content-type': 'application/json' })
    slow.on('error', () => { /* cancelled */ })
    slow.write('{')
    const answered = new Promise<unknown>((resolve) => {
      const quick = session.request({ ':path': '/version' })
      quick.on('response', (h) => resolve(h[':status']))
      quick.resume()
    })
    assert.equal(await answered, 200)
    await new Promise<void>((resolve) => slow.on('close', () => resolve()))
    assert.equal(slow.rstCode, constants.NGHTTP2_CANCEL)
    session.destroy()
  })
  it('bodies of many at once: beyond the room there is, 429', async (t) => {
    const roomy = await served({}, { ...LIMITS, bodyTimeoutMs: 120_000 })
    t.after(() => roomy.http.close())
    const session = connect2(`https://127.0.0.1:${roomy.port}`, { ca: roomy.ca, cert: roomy.admin.cert, key: roomy.admin.key })
    const statuses: unknown[] = []
    // Those that there is room for wait until the others have been sent away.
    const sentAway = Promise.withResolvers<void>()
    await Promise.all(Array.from({ length: 8 }, () => new Promise<void>((resolve) => {
      const stream = session.request({ ':method': 'POST', ':path': PATH, 'content-type': 'application/json' })
      stream.on('response', (h) => {
        statuses.push(h[':status'])
        if (statuses.filter((code) => code === 429).length >= 3) sentAway.resolve()
      })
      stream.on('error', () => resolve()).on('close', () => resolve())
      stream.resume()
      stream.write(Buffer.alloc(200_000, 0x20))
      void sentAway.promise.then(() => stream.end('{}'))
    })))
    session.destroy()
    assert.ok(statuses.filter((code) => code !== 429).length >= 3, String(statuses))
    // All of it was given back.
    const again = connect2(`https://127.0.0.1:${roomy.port}`, { ca: roomy.ca, cert: roomy.admin.cert, key: roomy.admin.key })
    const status = await new Promise((resolve) => {
      const stream = again.request({ ':method': 'POST', ':path': PATH, 'content-type': 'application/json' })
      stream.on('response', (h) => resolve(h[':status']))
      stream.resume()
      stream.end(JSON.stringify({ metadata: { name: 'a' }, data: { k: 'x'.repeat(900_000) } }))
    })
    assert.equal(status, 201)
    again.destroy()
  })
  it('streams opened and taken back in a storm: the client is sent away', async () => {
    const session = connect2(`https://127.0.0.1:${s.port}`, { ca: s.ca, cert: s.admin.cert, key: s.admin.key })
    session.on('error', () => { /* sent away */ })
    const goaway = new Promise<number>((resolve) => session.on('goaway', resolve))
    const storm = setInterval(() => {
      for (let i = 0; i < 100 && !session.destroyed && !session.closed; i++) {
        const stream = session.request({ ':path': '/version' })
        stream.on('error', () => { /* taken back */ })
        stream.close(constants.NGHTTP2_CANCEL)
      }
    }, 1)
    await goaway
    clearInterval(storm)
    session.destroy()
  })
})

describe('goaway-chance', () => {
  it('the request is answered, then the connection ends', async () => {
    const s = await served({}, { goawayChance: 1 })
    const session = connect2(`https://127.0.0.1:${s.port}`, { ca: s.ca, cert: s.admin.cert, key: s.admin.key })
    const closed = new Promise<void>((resolve) => session.on('close', () => resolve()))
    const status = await new Promise((resolve) => {
      const stream = session.request({ ':path': '/version' })
      stream.on('response', (h) => resolve(h[':status']))
      stream.resume()
    })
    assert.equal(status, 200)
    await closed
    await s.http.close()
  })
})
