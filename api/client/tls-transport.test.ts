import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { systemClock } from '#base/clock.ts'
import { PODS } from '../types/index.ts'
import { createClient } from './rest.ts'
import { createTlsTransport } from './tls-transport.ts'

const dir = mkdtempSync(join(tmpdir(), 'tls-transport-'))
after(() => rmSync(dir, { recursive: true }))
const file = (name: string) => join(dir, name)
const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' })

function makeCert(name: string): { cert: string; key: string } {
  openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1')
  openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-copy_extensions', 'copy', '-out', `${name}.pem`)
  return { cert: readFileSync(file(`${name}.pem`), 'utf8'), key: readFileSync(file(`${name}.key`), 'utf8') }
}

openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test-ca')
const ca = readFileSync(file('ca.pem'), 'utf8')
const serverCert = makeCert('server')

/** `status`: of all but watches. */
async function serve(name: string, status = 200) {
  const server = http2.createSecureServer({ ...serverCert, ca, requestCert: true })
  const sessions = new Set<http2.ServerHttp2Session>()
  server.on('session', (s) => { sessions.add(s); s.on('close', () => sessions.delete(s)) })
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    stream.on('error', () => { /* the client went away, which is what is tested */ })
    const who = (stream.session as unknown as { socket: TLSSocket }).socket.getPeerCertificate().subject?.CN
    const isWatch = headers[':path']?.includes('watch=true') === true
    stream.respond({ ':status': isWatch ? 200 : status, 'content-type': 'application/json' })
    const { socket } = stream.session as unknown as { socket: TLSSocket }
    if (headers[':path'] === '/cut') setImmediate(() => socket.destroy())
    else if (isWatch) stream.write(`${JSON.stringify({ type: 'ADDED', object: { metadata: { name: who } } })}\n`)
    else stream.end(JSON.stringify({ server: name, who, authorization: headers['authorization'] }))
  })
  await new Promise<void>((r) => server.listen(0, '127.0.0.1', r))
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, sessions, close: () => new Promise<void>((r) => { for (const s of sessions) s.destroy(); server.close(() => r()) }) }
}

test('an answer that is cut after its head is an interruption, not an empty answer', async () => {
  const server = await serve('one')
  const identity = makeCert('cut')
  const transport = createTlsTransport({ servers: [server.url], ca, clientCertificate: () => identity, clock: systemClock })
  const client = createClient(transport, { userAgent: 'test' })
  await assert.rejects(client.raw('GET', '/cut'), { code: 'API_INTERRUPTED' })
  assert.deepStrictEqual(await client.raw('GET', '/a'), { server: 'one', who: 'cut' })
  transport.close()
  await server.close()
})

test('requests share one connection, fail over to the next server, and use a renewed certificate', async () => {
  const one = await serve('one')
  const two = await serve('two')
  let identity = makeCert('first')
  const transport = createTlsTransport({ servers: ['https://127.0.0.1:1', one.url, two.url], ca, clientCertificate: () => identity, bearer: () => 'secret', clock: systemClock })
  const client = createClient(transport, { userAgent: 'test' })
  const answers = await Promise.all([client.raw('GET', '/a'), client.raw('GET', '/b')])
  assert.deepStrictEqual(answers, Array(2).fill({ server: 'one', who: 'first', authorization: 'Bearer secret' }))
  assert.equal(one.sessions.size, 1)

  const stop = new AbortController()
  const watch = client.watch(PODS, {}, stop.signal)[Symbol.asyncIterator]()
  const first = await watch.next()
  assert.equal((first.value as { object: { metadata: { name: string } } }).object.metadata.name, 'first')
  identity = makeCert('second')
  assert.deepStrictEqual(await client.raw('GET', '/c'), { server: 'one', who: 'second', authorization: 'Bearer secret' })
  const ending = watch.next()
  stop.abort()
  assert.deepStrictEqual(await ending, { value: undefined, done: true })

  await one.close()
  assert.deepStrictEqual(await client.raw('GET', '/d'), { server: 'two', who: 'second', authorization: 'Bearer secret' })
  assert.equal(transport.current(), two.url)
  await two.close()
  await assert.rejects(client.raw('GET', '/e'), { code: 'API_UNREACHABLE' })
  transport.close()
  await assert.rejects(client.raw('GET', '/f'), { code: 'API_CLOSED' })
})

test('a server that accepts and then says nothing is given up in time', async () => {
  const { createServer } = await import('node:net')
  const mute = createServer(() => { /* never answers */ })
  await new Promise<void>((r) => mute.listen(0, '127.0.0.1', r))
  const sockets = new Set<import('node:net').Socket>()
  mute.on('connection', (s) => sockets.add(s))
  const transport = createTlsTransport({ servers: [`https://127.0.0.1:${(mute.address() as AddressInfo).port}`], ca, clock: systemClock, connectMsMax: 200 })
  await assert.rejects(createClient(transport, { userAgent: 'test' }).raw('GET', '/a'), { code: 'API_UNREACHABLE' })
  transport.close()
  for (const s of sockets) s.destroy()
  mute.close()
})

test('a connection that died without a word is noticed while a watch is open, and the next request takes another', async () => {
  const { connect, createServer } = await import('node:net')
  const real = await serve('real')
  const identity = makeCert('third')
  const port = Number(new URL(real.url).port)
  const state = { mute: false }
  const sockets = new Set<import('node:net').Socket>()
  const proxy = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const [from, to] of [[near, far], [far, near]] as const) {
      sockets.add(from)
      from.on('data', (chunk) => { if (!state.mute) to.write(chunk) })
      from.on('error', () => { /* cut on purpose */ })
      from.on('close', () => { if (!state.mute) to.destroy() })
    }
  })
  await new Promise<void>((r) => proxy.listen(0, '127.0.0.1', r))
  const transport = createTlsTransport({ servers: [`https://127.0.0.1:${(proxy.address() as AddressInfo).port}`, real.url], ca, clientCertificate: () => identity, clock: systemClock, silenceMsMax: 100, connectMsMax: 300 })
  const client = createClient(transport, { userAgent: 'test' })
  const watch = client.watch(PODS, {}, new AbortController().signal)[Symbol.asyncIterator]()
  assert.equal((await watch.next()).done, false)
  state.mute = true
  await assert.rejects(watch.next(), { code: 'API_INTERRUPTED' })
  assert.deepStrictEqual(await client.raw('GET', '/a'), { server: 'real', who: 'third' })
  assert.equal(transport.current(), real.url)
  transport.close()
  for (const s of sockets) s.destroy()
  proxy.close()
  await real.close()
})

test('a server that has lost the others is left for the next one, and watches there end so that they go on elsewhere', { timeout: 180_000 }, async () => {
  const own = makeCert('node')
  const [lost, well] = [await serve('lost', 503), await serve('well')]
  const transport = createTlsTransport({ servers: [lost.url, well.url], ca, movesOn: true, clientCertificate: () => own, clock: systemClock })
  const client = createClient(transport, { userAgent: 'test' })
  const stop = new AbortController()
  const watch = client.watch(PODS, {}, stop.signal)[Symbol.asyncIterator]()
  await watch.next()
  const ended = watch.next().then(() => 'ended', () => 'ended')
  await assert.rejects(client.raw('GET', '/a'))
  assert.deepStrictEqual(await client.raw('GET', '/b'), { server: 'well', who: 'node' })
  assert.equal(await ended, 'ended')
  assert.equal(transport.current(), well.url)
  stop.abort()
  transport.close()
  await Promise.all([lost.close(), well.close()])
})
