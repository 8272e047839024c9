import assert from 'node:assert/strict'
import http2 from 'node:http2'
import https from 'node:https'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { gunzipSync } from 'node:zlib'
import tls from 'node:tls'
import { after, before, describe, test } from 'node:test'
import { createLog } from '#base/log.ts'
import { CM, configMap, items } from './app.test-support.ts'
import { served, type Credential, type Served } from './http-server.test-support.ts'

interface Got { status: number; headers: Record<string, unknown>; bytes: Buffer; json: { [key: string]: unknown } }

function ask(s: Served, method: string, path: string, options: { body?: unknown; headers?: Record<string, string>; as?: Credential | undefined; agent?: https.Agent } = {}): Promise<Got> {
  const data = options.body === undefined ? undefined : Buffer.isBuffer(options.body) ? options.body : Buffer.from(JSON.stringify(options.body))
  const as = 'as' in options ? options.as : s.admin
  return new Promise((resolve, reject) => {
    const req = https.request({
      host: '127.0.0.1', port: s.port, method, path, ca: s.ca, ...as, agent: options.agent ?? false,
      headers: { ...(data && { 'content-type': 'application/json', 'content-length': String(data.length) }), ...options.headers },
    }, (res) => {
      const chunks: Buffer[] = []
      res.on('data', (c: Buffer) => chunks.push(c))
      res.on('error', reject)
      res.on('end', () => {
        const bytes = Buffer.concat(chunks)
        resolve({ status: res.statusCode ?? 0, headers: res.headers, bytes, json: bytes[0] === 0x7b && !path.includes('watch=') ? (JSON.parse(bytes.toString()) as Got['json']) : {} })
      })
    })
    req.on('error', reject)
    req.end(data)
  })
}

describe('over TLS', () => {
  let s: Served
  before(async () => { s = await served({}, { headersTimeoutMs: 300, bodyTimeoutMs: 600 }) })
  after(async () => { await s.http.close() })

  test('HTTP/1.1 with a client certificate, one connection for many requests', async () => {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 })
    assert.equal((await ask(s, 'POST', CM, { body: configMap('one'), agent })).status, 201)
    const got = await ask(s, 'GET', `${CM}/one`, { agent })
    assert.deepEqual([got.status, got.json['data'], got.headers['content-type'], Number(got.headers['content-length'])], [200, { k: 'v' }, 'application/json', got.bytes.length])
    const told = (await ask(s, 'GET', '/metrics', { agent })).bytes.toString()
    const remaining = (line: string) => Number(new RegExp(`^apiserver_client_certificate_expiration_seconds_${line} (\\d+)$`, 'm').exec(told)?.[1])
    assert.deepEqual([remaining('count') >= 3, remaining('bucket\\{le="0"\\}')], [true, 0])
    agent.destroy()
  })

  test('HTTP/2: requests and watches share one connection', async () => {
    const session = http2.connect(`https://127.0.0.1:${s.port}`, { ca: s.ca, ...s.admin })
    const request = async (method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> => {
      const stream = session.request({ ':method': method, ':path': path, ...(body !== undefined && { 'content-type': 'application/json' }) })
      stream.end(body === undefined ? undefined : JSON.stringify(body))
      const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders & { ':status'?: number }]
      const chunks: Buffer[] = []
      for await (const chunk of stream) chunks.push(chunk as Buffer)
      return { status: Number(headers[':status']), text: Buffer.concat(chunks).toString() }
    }
    const watching = session.request({ ':path': `${CM}?watch=1&resourceVersion=0&fieldSelector=metadata.name%3Dtwo` })
    await once(watching, 'response')
    assert.equal((await request('POST', CM, configMap('two'))).status, 201)
    const [event] = (await once(watching, 'data')) as [Buffer]
    assert.equal((JSON.parse(event.toString()) as { type: string }).type, 'ADDED')
    assert.equal((await request('GET', `${CM}/none`)).status, 404)
    assert.equal((await request('POST', CM, { metadata: { name: 'big' }, data: { x: 'x'.repeat(4 * 1024 * 1024) } })).status, 413)
    assert.equal((await request('GET', `${CM}/two`)).status, 200)
    watching.close()
    session.close()
  })

  test('groups that are impersonated may have commas in them: each header is one', async () => {
    const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
    const fields = { 'impersonate-user': 'jane', 'impersonate-group': ['system:masters', 'a,c', ',,,d'], 'impersonate-extra-example.com%2fx': ['1, 2', '3'], 'content-type': 'application/json' }
    const one = await ask(s, 'POST', review, { body: {}, headers: fields as unknown as Record<string, string> })
    const session = http2.connect(`https://127.0.0.1:${s.port}`, { ca: s.ca, ...s.admin })
    const stream = session.request({ ':method': 'POST', ':path': review, ...fields })
    stream.end('{}')
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    session.close()
    const userInfo = { username: 'jane', groups: ['system:masters', 'a,c', ',,,d', 'system:authenticated'], extra: { 'example.com/x': ['1, 2', '3'] } }
    assert.deepEqual([one.json['status'], (JSON.parse(Buffer.concat(chunks).toString()) as Got['json'])['status']], [{ userInfo }, { userInfo }])
  })

  test('no certificate is nobody, a stranger\'s certificate is refused', async () => {
    assert.deepEqual([(await ask(s, 'GET', '/version', { as: undefined })).status, (await ask(s, 'GET', CM, { as: undefined })).status], [200, 403])
    assert.equal((await ask(s, 'GET', CM, { as: await s.client('admin', ['system:masters'], 'stranger') })).status, 401)
    assert.equal((await ask(s, 'GET', CM, { as: await s.client('joe', ['people']) })).status, 403)
  })

  test('the front proxy speaks for others, and for itself it is nobody', async () => {
    const proxy = await s.client('system:auth-proxy', ['system:masters'], 'proxy')
    const as = async (credential: Credential, headers: Record<string, string>) => {
      const { status, json } = await ask(s, 'POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { as: credential, headers: { 'content-type': 'application/json', ...headers }, body: {} })
      return status === 201 ? (json['status'] as { userInfo?: unknown } | undefined)?.userInfo : status
    }
    assert.deepEqual(await as(proxy, { 'x-remote-user': 'jane', 'x-remote-uid': '7', 'x-remote-group': 'system:masters, b', 'x-remote-extra-example.com%2fkey': 'x' }), { username: 'jane', uid: '7', groups: ['system:masters', 'b', 'system:authenticated'], extra: { 'example.com/key': ['x'] } })
    assert.equal(await as(proxy, {}), 401)
    assert.equal(await as(await s.client('somebody', ['system:masters'], 'proxy'), { 'x-remote-user': 'jane', 'x-remote-group': 'system:masters' }), 401)
    assert.deepEqual(await as(s.admin, { 'x-remote-user': 'jane' }), { username: 'admin', groups: ['system:masters', 'system:authenticated'] }, 'a client of its own is who its certificate says')
  })

  test('a resumed TLS session is still the same client', async () => {
    const first = tls.connect({ host: '127.0.0.1', port: s.port, ca: s.ca, ...s.admin, ALPNProtocols: ['http/1.1'] })
    const ticket = once(first, 'session') as Promise<[Buffer]>
    await once(first, 'secureConnect')
    first.write(`GET ${CM}/one HTTP/1.1\r\nhost: x\r\n\r\n`)
    const [session] = await ticket
    first.destroy()
    const second = tls.connect({ host: '127.0.0.1', port: s.port, ca: s.ca, session, ALPNProtocols: ['http/1.1'] })
    await once(second, 'secureConnect')
    second.write(`GET ${CM} HTTP/1.1\r\nhost: x\r\n\r\n`)
    const [answer] = (await once(second, 'data')) as [Buffer]
    // Resumed or not, who has no certificate of his own in this handshake is at most the client the ticket was given to.
    assert.match(answer.toString(), second.isSessionReused() ? /^HTTP\/1\.1 (200|401) / : /^HTTP\/1\.1 401 /)
    second.destroy()
  })

  test('a body over 3 MiB is 413, told or not told beforehand', async () => {
    const big = Buffer.from(JSON.stringify({ metadata: { name: 'big' }, data: { x: 'x'.repeat(4 * 1024 * 1024) } }))
    // The answer is not lost, however much is still on its way.
    const all = await Promise.all(Array.from({ length: 20 }, () => ask(s, 'POST', CM, { body: big })))
    assert.deepEqual(new Set(all.map((a) => a.status)), new Set([413]))
    const told = await ask(s, 'POST', CM, { body: big })
    assert.deepEqual([told.status, told.json['reason'], told.json['message']], [413, 'RequestEntityTooLarge', 'Request entity too large: limit is 3145728'])
  })

  test('a large list is gzipped for who asks, and not for others', async () => {
    for (let i = 0; i < 20; i++) await ask(s, 'POST', '/api/v1/namespaces/big/configmaps', { body: configMap(`c${i}`, { data: { x: 'y'.repeat(10_000) } }) })
    const plain = await ask(s, 'GET', '/api/v1/namespaces/big/configmaps')
    const zipped = await ask(s, 'GET', '/api/v1/namespaces/big/configmaps', { headers: { 'accept-encoding': 'gzip' } })
    assert.deepEqual([plain.headers['content-encoding'], zipped.headers['content-encoding'], items(plain.json['items']).length], [undefined, 'gzip', 20])
    assert.deepEqual(JSON.parse(gunzipSync(zipped.bytes).toString()), plain.json)
    assert.equal((await ask(s, 'GET', `${CM}/one`, { headers: { 'accept-encoding': 'gzip' } })).headers['content-encoding'], undefined)
  })

  test('a watch over HTTP/1.1 arrives event by event and ends well-formed', async () => {
    const path = `${CM}?watch=1&timeoutSeconds=1&labelSelector=w`
    const watching = ask(s, 'GET', path)
    const made = await ask(s, 'POST', CM, { body: configMap('w', { metadata: { name: 'w', labels: { w: '1' } } }) })
    assert.equal(made.status, 201)
    const { bytes, headers } = await watching
    assert.equal(headers['transfer-encoding'], 'chunked')
    const lines = bytes.toString().trim().split('\n').map((l) => JSON.parse(l) as { type: string; object: { metadata: { name: string } } })
    assert.deepEqual(lines.map((l) => [l.type, l.object.metadata.name]), [['ADDED', 'w']])
  })

  test('a watch that begins with much of what is there has each object once, before and after a change, and tells its size', async () => {
    const named = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `c${String(from + i).padStart(2, '0')}`)
    const path = '/api/v1/namespaces/much/configmaps'
    const seen = async (): Promise<string[]> => {
      const { bytes } = await ask(s, 'GET', `${path}?watch=1&timeoutSeconds=1`)
      return bytes.toString().trim().split('\n').map((line) => JSON.parse(line) as { type: string; object: { kind: string; metadata: { name: string; resourceVersion: string } } })
        .map(({ type, object }) => (object.kind === 'ConfigMap' && Number(object.metadata.resourceVersion) > 0 ? `${type} ${object.metadata.name}` : '?'))
    }
    for (const name of named(0, 40)) await ask(s, 'POST', path, { body: configMap(name, { data: { x: 'y'.repeat(20_000) } }) })
    assert.deepEqual(await seen(), named(0, 40).map((name) => `ADDED ${name}`))
    await ask(s, 'DELETE', `${path}/c00`)
    const told = async (): Promise<number> => Number(/^apiserver_watch_events_total\{[^}]*resource="configmaps"[^}]*\} (\d+)$/m.exec((await ask(s, 'GET', '/metrics')).bytes.toString())?.[1] ?? 0)
    const before = await told()
    assert.deepEqual(await seen(), named(1, 40).map((name) => `ADDED ${name}`))
    assert.equal(await told() - before, 39)
  })

  test('a watch pipelined behind another request loses nothing', async () => {
    const socket = tls.connect({ host: '127.0.0.1', port: s.port, ca: s.ca, ...s.admin, ALPNProtocols: ['http/1.1'] })
    await once(socket, 'secureConnect')
    socket.write(`GET ${CM}/one HTTP/1.1\r\nhost: x\r\n\r\nGET ${CM}?watch=1&fieldSelector=metadata.name%3Done&timeoutSeconds=1 HTTP/1.1\r\nhost: x\r\n\r\nGET /version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
    let text = ''
    for await (const chunk of socket) text += String(chunk)
    assert.equal(text.match(/HTTP\/1\.1 200 OK/g)?.length, 3)
    assert.match(text, /\{"type":"ADDED","object":.*"gitVersion"/s)
  })

  test('headers or a body that trickle in are cut off', async () => {
    for (const start of ['GET /version HTTP/1.1\r\nhost: x\r\nx-', `POST ${CM} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{`]) {
      const socket = tls.connect({ host: '127.0.0.1', port: s.port, ca: s.ca, ...s.admin, ALPNProtocols: ['http/1.1'] })
      await once(socket, 'secureConnect')
      socket.write(start)
      const closed = once(socket, 'close')
      const answer: Buffer[] = []
      socket.on('data', (d: Buffer) => answer.push(d))
      await closed
      assert.match(Buffer.concat(answer).toString(), /^HTTP\/1\.1 408 /)
    }
  })

  test('garbage instead of HTTP or TLS does not harm the others', async () => {
    const socket = tls.connect({ host: '127.0.0.1', port: s.port, ca: s.ca, ALPNProtocols: ['http/1.1'] })
    await once(socket, 'secureConnect')
    socket.resume().end('\0\0\0 nonsense\r\n\r\n')
    await once(socket, 'close')
    const { connect } = await import('node:net')
    const raw = connect(s.port, '127.0.0.1')
    raw.resume().end('not even TLS')
    await once(raw, 'close')
    assert.equal((await ask(s, 'GET', '/version')).status, 200)
  })

  test('a port in use is told with the flag that mends it', async () => {
    await assert.rejects(served({}, {}, { port: s.port }), { code: 'PORT_IN_USE', message: `127.0.0.1:${s.port} is in use by another process: stop it, or choose another port with --https-listen-port` })
  })
})

test('closing ends watches, answers what is in flight, then lets go of the port', async () => {
  const gate = Promise.withResolvers<void>()
  const entered = Promise.withResolvers<void>()
  const s = await served({ admission: [{ name: 'Slow', validate: async () => { entered.resolve(); await gate.promise; return undefined } }] })
  const idle = new https.Agent({ keepAlive: true })
  await ask(s, 'GET', '/version', { agent: idle })
  const watching = ask(s, 'GET', `${CM}?watch=1`)
  const writing = ask(s, 'POST', CM, { body: configMap('a') })
  await entered.promise
  const closed = s.http.close()
  gate.resolve()
  assert.equal((await writing).status, 201)
  assert.equal((await watching).status, 200)
  await closed
  await assert.rejects(ask(s, 'GET', '/version'), { code: 'ECONNREFUSED' })
  idle.destroy()
})

for (const [what, leave] of [['waits', () => {}], ['has half closed', (socket: Socket) => void socket.end()]] as const) {
  test(`closing does not wait for a client that has not finished its handshake and ${what}`, async () => {
    const warnings: string[] = []
    const log = createLog({ format: 'text', level: 'warn', nowMs: () => 0, write: (line) => void warnings.push(line) })
    const s = await served({}, {}, { log })
    const socket = connect(s.port, '127.0.0.1')
    const closed = once(socket, 'close')
    socket.on('error', () => { /* cut */ })
    await once(socket, 'connect')
    // A TLS record that says it is longer than what comes.
    socket.write(Buffer.from([22, 3, 1, 2, 0, 1, 0]))
    leave(socket)
    // Its turn to be accepted is over when a later connection has been served.
    await ask(s, 'GET', '/version')
    socket.resume()
    await s.http.close()
    await closed
    assert.deepEqual(warnings, [])
  })
}

/** What a client that offers this gets; `none`: no connection. */
function spoken(s: Served, options: tls.ConnectionOptions): Promise<string> {
  return new Promise((resolve) => {
    const socket = tls.connect({ host: '127.0.0.1', port: s.port, ca: s.ca, ALPNProtocols: ['http/1.1'], ...options }, () => {
      resolve(`${String(socket.getProtocol())} ${socket.getCipher().standardName}`)
      socket.destroy()
    })
    socket.on('error', () => resolve('none'))
  })
}

test('versions and cipher suites of TLS, and key exchanges, are those that are chosen, with new certificates, too', async () => {
  const [older, newer] = [{ maxVersion: 'TLSv1.2' }, { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_256_GCM_SHA384' }] as const
  const chosen = async (s: Served) => Promise.all([
    spoken(s, older), spoken(s, { ...older, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }), spoken(s, newer), spoken(s, { ...newer, ecdhCurve: 'X25519' }),
  ])
  const suite = 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'
  const strict = await served({}, {}, { tlsChoice: { ciphers: 'TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384', ecdhCurve: 'P-256' } })
  const expected = [`TLSv1.2 ${suite}`, 'none', 'TLSv1.3 TLS_AES_256_GCM_SHA384', 'none']
  assert.deepEqual(await chosen(strict), expected)
  strict.http.updateTls({ cert: strict.serving.cert, key: strict.serving.key, clientCa: strict.ca })
  assert.deepEqual(await chosen(strict), expected)
  await strict.http.close()
  const newest = await served({}, {}, { tlsChoice: { minVersion: 'TLSv1.3' } })
  assert.deepEqual((await chosen(newest)).map((said) => said.split(' ')[0]), ['none', 'none', 'TLSv1.3', 'TLSv1.3'])
  await newest.http.close()
})

/** A connection that is kept; `status`: of an answer on it. */
async function held(s: Served, as: Credential): Promise<{ ended: Promise<unknown>; status: () => Promise<string>; socket: tls.TLSSocket }> {
  const socket = tls.connect({ host: '127.0.0.1', port: s.port, ca: s.ca, ALPNProtocols: ['http/1.1'], ...as })
  const ended = new Promise((resolve) => socket.on('close', resolve))
  socket.on('error', () => { /* it is the end that is looked for */ })
  await once(socket, 'secureConnect')
  const status = async () => {
    socket.write(`GET ${CM} HTTP/1.1\r\nhost: x\r\n\r\n`)
    const [data] = await once(socket, 'data') as [Buffer]
    return data.toString().split(' ')[1] ?? ''
  }
  return { ended, status, socket }
}

test('with other authorities of clients, connections end whose certificates are judged otherwise by them; the others go on', async (t) => {
  const s = await served()
  t.after(() => s.http.close())
  const material = (clientCa: string) => ({ ...s.serving, clientCa, frontProxyCa: s.proxyCa })
  const visitor = await s.client('visitor', ['system:masters'], 'stranger')
  const [own, refused, proxy] = [await held(s, s.admin), await held(s, visitor), await held(s, await s.client('front', [], 'proxy'))]
  t.after(() => { own.socket.destroy(); proxy.socket.destroy() })
  assert.deepEqual([await own.status(), await refused.status()], ['200', '401'])
  s.http.updateTls(material(`${s.ca}\n${s.strangerCa}`))
  await refused.ended
  const believed = await held(s, visitor)
  assert.equal(await believed.status(), '200')
  s.http.updateTls(material(s.ca))
  await believed.ended
  assert.equal((await ask(s, 'GET', CM, { as: visitor })).status, 401)
  assert.equal(await own.status(), '200')
  assert.equal(proxy.socket.closed, false)
  s.http.updateTls(material(s.strangerCa))
  await own.ended
})

/** Who is shown, and what a client with a certificate of its own gets: also when it comes back with its session. */
async function called(s: Served, servername: string, ca: string, session?: Buffer): Promise<{ shown: unknown; status: string | undefined; session: Buffer | undefined; isReused: boolean }> {
  const socket = tls.connect({ host: '127.0.0.1', port: s.port, ca, ...s.admin, servername, session, ALPNProtocols: ['http/1.1'], maxVersion: 'TLSv1.2' })
  const ticket = session ? Promise.resolve([undefined]) : once(socket, 'session') as Promise<[Buffer]>
  await once(socket, 'secureConnect')
  socket.write(`GET ${CM} HTTP/1.1\r\nhost: x\r\n\r\n`)
  const [[given], [data]] = await Promise.all([ticket, once(socket, 'data') as Promise<[Buffer]>])
  const answer = { shown: socket.getPeerCertificate().subject?.CN, status: data.toString().split(' ')[1], session: given, isReused: socket.isSessionReused() }
  socket.destroy()
  return answer
}

test('by the name that is asked for another certificate is shown; clients are known under each, also in resumed sessions and when it has changed', async (t) => {
  const pairs: { other?: Credential } = {}
  const s = await served({}, {}, { choose: (name) => (name === 'kube.example.org' ? pairs.other : undefined) })
  t.after(() => s.http.close())
  pairs.other = await s.other('kube.example.org')
  const [first, own] = [await called(s, 'kube.example.org', s.strangerCa), await called(s, '', s.ca)]
  assert.deepEqual([first.shown, first.status, own.shown, own.status], ['kube.example.org', '200', 'server', '200'])
  const again = await called(s, 'kube.example.org', s.strangerCa, first.session)
  assert.deepEqual([again.isReused, again.status], [true, '200'])
  const next = await s.other('next', 'kube.example.org')
  s.http.updateTls({ ...s.serving, clientCa: s.ca, choose: () => next })
  assert.equal((await called(s, 'kube.example.org', s.strangerCa)).shown, 'next')
})
