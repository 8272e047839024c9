import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { performServerHandshake } from 'node:http2'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import { after, before, describe, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { WebSocket } from 'ws'
import { PODS } from '../app.test-support.ts'
import { served, type Credential, type Served } from '../http-server.test-support.ts'
import { TUNNEL_ALPN } from './tunnel-hub.ts'

/** What an agent is to the server: a dialled TLS connection with HTTP/2 the other way round, and a kubelet behind it. */
async function agentOf(s: Served, node: string, kubelet: Server, as?: Credential): Promise<tls.TLSSocket> {
  const socket = tls.connect({ host: '127.0.0.1', port: s.port, ca: s.ca, ...(as ?? await s.client(`system:node:${node}`, ['system:nodes'])), ALPNProtocols: [TUNNEL_ALPN] })
  await once(socket, 'secureConnect')
  const session = performServerHandshake(socket)
  session.on('stream', (stream, headers) => {
    if (headers[':authority'] === '10.0.0.9:1') return stream.respond({ ':status': 403 }, { endStream: true })
    stream.respond({ ':status': 200 })
    kubelet.emit('connection', stream)
  })
  session.on('error', () => { /* The server end went away. */ })
  return socket
}

/** Answers with what it was asked; upgrades become an echo that ends when its input ends. */
function kubeletServer(seen: IncomingMessage[]): Server {
  const server = createServer((req, res) => {
    seen.push(req)
    if (req.url?.startsWith('/containerLogs/default/p/c?follow=true')) {
      res.write('one\n')
      return
    }
    if (req.url?.startsWith('/containerLogs/default/p/c?previous')) {
      res.writeHead(400).end('previous terminated container "c" in pod "p" not found')
      return
    }
    if (req.url?.startsWith('/page')) {
      const html = Buffer.from(`<a href="/there?x">${req.headers.host}</a>${req.headers['x-forwarded-uri'] as string}`)
      const packed = req.url === '/page.gz'
      res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'access-control-allow-origin': '*', ...(packed && { 'content-encoding': 'gzip' }), 'content-length': packed ? gzipSync(html).length : html.length }).end(packed ? gzipSync(html) : html)
      return
    }
    if (req.url === '/moved') {
      res.writeHead(302, { location: '/there', 'content-type': 'text/html' }).end('<a href="/there">')
      return
    }
    res.setHeader('x-answered', 'yes')
    void (async () => {
      const chunks: Buffer[] = []
      for await (const chunk of req) chunks.push(chunk as Buffer)
      res.end(`${req.method} ${req.url} ${Buffer.concat(chunks).toString()}`)
    })()
  })
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    seen.push(req)
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${req.headers.upgrade}\r\nsec-websocket-protocol: v5.channel.k8s.io\r\n\r\n`)
    if (head.length > 0) socket.write(head)
    socket.pipe(socket)
  })
  return server
}

interface Plain { status: number; text: string; bytes: Buffer; headers: IncomingMessage['headers'] }

function ask(s: Served, method: string, path: string, body?: unknown): Promise<Plain> {
  return new Promise((resolve, reject) => {
    const req = https.request({ host: '127.0.0.1', port: s.port, method, path, ca: s.ca, ...s.admin, agent: false, headers: { 'content-type': 'application/json', authorization: 'Bearer secret', cookie: 'c' } }, (res) => {
      const chunks: Buffer[] = []
      res.on('data', (c: Buffer) => chunks.push(c))
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, bytes: Buffer.concat(chunks), text: Buffer.concat(chunks).toString() }))
    })
    req.on('error', reject)
    req.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

async function upgrade(s: Served, method: string, path: string, headers: Record<string, string>, as: Credential = s.admin): Promise<{ socket: tls.TLSSocket; answer: string }> {
  const socket = tls.connect({ host: '127.0.0.1', port: s.port, ca: s.ca, ...as, ALPNProtocols: ['http/1.1'], allowHalfOpen: true } as tls.ConnectionOptions)
  await once(socket, 'secureConnect')
  socket.write(`${method} ${path} HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\n${Object.entries(headers).map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`)
  let text = ''
  while (!text.includes('\r\n\r\n')) text += String(((await once(socket, 'data')) as [Buffer])[0])
  return { socket, answer: text }
}

describe('what runs on nodes', () => {
  const seen: IncomingMessage[] = []
  const kubelet = kubeletServer(seen)
  let s: Served
  let agent: tls.TLSSocket
  before(async () => {
    s = await served()
    agent = await agentOf(s, 'n1', kubelet)
    while (!s.hub.isConnected('n1')) await new Promise<void>((r) => setImmediate(r))
    const inProcess = s.api.transportFor({ name: 'admin', groups: ['system:masters'] })
    const post = (path: string, body: unknown) => inProcess.request({ method: 'POST', path, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(body)), signal: new AbortController().signal })
    await post(PODS, { metadata: { name: 'p' }, spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] } })
    await post(PODS, { metadata: { name: 'two' }, spec: { nodeName: 'n1', containers: [{ name: 'a', image: 'i' }, { name: 'b', image: 'i' }] } })
    await post(PODS, { metadata: { name: 'far' }, spec: { nodeName: 'n2', containers: [{ name: 'c', image: 'i' }] } })
    await post(PODS, { metadata: { name: 'new' }, spec: { containers: [{ name: 'c', image: 'i' }] } })
    await post('/api/v1/nodes', { metadata: { name: 'n1' } })
    await inProcess.request({ method: 'PATCH', path: `${PODS}/p/status`, headers: { 'content-type': 'application/merge-patch+json' }, body: Buffer.from('{"status":{"podIP":"10.0.0.1"}}'), signal: new AbortController().signal })
  })
  after(async () => {
    agent.destroy()
    await s.http.close()
    s.hub.close()
  })

  test('logs come through the agent\'s own connection', async () => {
    const got = await ask(s, 'GET', `${PODS}/p/log?container=c&tailLines=5&timestamps=true`)
    assert.deepEqual([got.status, got.headers['content-type'], got.text], [200, 'text/plain', 'GET /containerLogs/default/p/c?timestamps=true&tailLines=5 '])
    assert.deepEqual([seen.at(-1)?.headers['authorization'], seen.at(-1)?.headers['cookie']], [undefined, undefined])
    const unscheduled = await ask(s, 'GET', `${PODS}/new/log`)
    assert.deepEqual([unscheduled.status, unscheduled.headers['content-type'], unscheduled.text], [204, undefined, ''])
  })

  test('an exec that takes no connection over is told so, once all else is as it should be', async () => {
    const message = async (method: string, path: string): Promise<unknown> => {
      const { status, text } = await ask(s, method, path)
      return `${status} ${(JSON.parse(text) as { message: string }).message}`
    }
    assert.equal(await message('POST', `${PODS}/p/exec?command=ls&stdout=true`), '400 Upgrade request required')
    assert.equal(await message('GET', `${PODS}/p/portforward`), '400 Upgrade request required')
    assert.equal(await message('POST', `${PODS}/p/exec?command=ls`), '400 you must specify at least 1 of stdin, stdout, stderr')
    assert.equal(await message('POST', `${PODS}/new/attach?stdout=true`), '400 pod new does not have a host assigned')
    assert.equal(await message('GET', `${PODS}/nope/exec?command=ls`), '404 pods "nope" not found')
    assert.equal(await message('PUT', `${PODS}/p/exec?command=ls`), '405 the server does not allow this method on the requested resource')
  })

  test('logs come over WebSocket, too, after an empty message: binary, or in base64', async () => {
    for (const [protocols, text] of [[[], 'GET /containerLogs/default/p/c '], [['binary.k8s.io'], 'GET /containerLogs/default/p/c '], [['other', 'base64.binary.k8s.io'], Buffer.from('GET /containerLogs/default/p/c ').toString('base64')]] as const) {
      const socket = new WebSocket(`wss://127.0.0.1:${s.port}${PODS}/p/log`, [...protocols], { ca: s.ca, ...s.admin })
      const messages: [string, boolean][] = []
      socket.on('message', (data, isBinary) => { messages.push([(data as Buffer).toString(), isBinary]) })
      const [code] = await once(socket, 'close') as [number]
      const isBinary = protocols.at(-1) !== 'base64.binary.k8s.io'
      assert.deepEqual([code, socket.protocol, messages], [1000, protocols.at(-1) ?? '', [['', isBinary], [text, isBinary]]])
    }
    const refused = new WebSocket(`wss://127.0.0.1:${s.port}${PODS}/two/log`, { ca: s.ca, ...s.admin })
    const [, answer] = await once(refused, 'unexpected-response') as [unknown, IncomingMessage]
    assert.equal(answer.statusCode, 400)
  })

  test('a proxy request to what is no name is told with what it should have named', async () => {
    const message = async (path: string) => {
      const { status, text } = await ask(s, 'GET', path)
      return `${status} ${(JSON.parse(text) as { message: string }).message}`
    }
    assert.equal(await message(`${PODS}/a:b:c:d/proxy/`), '400 invalid pod request "a:b:c:d"')
    assert.equal(await message('/api/v1/nodes/a:b:c:d/proxy/'), '400 invalid node request "a:b:c:d"')
  })

  test('wrong log requests are told before or by the kubelet', async () => {
    const message = async (path: string) => {
      const { status, text } = await ask(s, 'GET', path)
      return `${status} ${(JSON.parse(text) as { message: string }).message}`
    }
    assert.equal(await message(`${PODS}/two/log`), '400 a container name must be specified for pod two, choose one of: [a b]')
    assert.equal(await message(`${PODS}/p/log?container=nope`), '400 container nope is not valid for pod p')
    assert.match(await message(`${PODS}/p/log?tailLines=-1`), /^422 /)
    assert.equal(await message(`${PODS}/gone/log?limitBytes=0`), '422 PodLogOptions "gone" is invalid: limitBytes: Invalid value: 0: must be greater than 0')
    assert.equal(await message(`${PODS}/p/log?previous=true`), '400 previous terminated container "c" in pod "p" not found')
    assert.match(await message(`${PODS}/far/log`), /^503 no connection to node "n2": its agent is not connected to this server/)
  })

  test('a followed log streams, and its end at the client ends it at the node', async () => {
    const req = https.get({ host: '127.0.0.1', port: s.port, path: `${PODS}/p/log?follow=true`, ca: s.ca, ...s.admin, agent: false })
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    assert.equal(String(((await once(res, 'data')) as [Buffer])[0]), 'one\n')
    const atNode = seen.at(-1)
    const closed = once(atNode?.socket ?? req, 'close')
    res.destroy()
    await closed
  })

  test('exec over a WebSocket: authorized, passed on with the kubelet\'s names, echoed, half-closed', async () => {
    const { socket, answer } = await upgrade(s, 'GET', `${PODS}/p/exec?command=sh&command=-c&command=a%20b&stdin=true&stdout=true&tty=false`, { upgrade: 'websocket', 'sec-websocket-key': 'k', 'sec-websocket-version': '13', 'sec-websocket-protocol': 'v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.c2VjcmV0' })
    assert.match(answer, /^HTTP\/1\.1 101 /)
    const at = seen.at(-1)
    assert.deepEqual([at?.url, at?.headers['upgrade'], at?.headers['sec-websocket-protocol']], ['/exec/default/p/c?input=1&output=1&command=sh&command=-c&command=a+b', 'websocket', 'v5.channel.k8s.io'])
    const big = Buffer.alloc(3 * 1024 * 1024, 'z')
    const received: Buffer[] = []
    socket.on('data', (d: Buffer) => received.push(d))
    socket.end(big)
    await once(socket, 'end')
    assert.equal(Buffer.concat(received).equals(big), true)
  })

  test('SPDY by POST, attach and port-forward take the same road', async () => {
    const spdy = await upgrade(s, 'POST', `${PODS}/p/exec?command=ls&stdout=1`, { upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io' })
    assert.deepEqual([seen.at(-1)?.method, seen.at(-1)?.headers['x-stream-protocol-version']], ['POST', 'v4.channel.k8s.io'])
    const forward = await upgrade(s, 'GET', `${PODS}/p/portforward?ports=80`, { upgrade: 'websocket' })
    assert.equal(seen.at(-1)?.url, '/portForward/default/p?port=80')
    const attach = await upgrade(s, 'GET', `${PODS}/p/attach?stdout=true&stderr=true`, { upgrade: 'websocket' })
    assert.equal(seen.at(-1)?.url, '/attach/default/p/c?output=1&error=1')
    for (const { socket } of [spdy, forward, attach]) socket.destroy()
  })

  test('an upgrade that may not be is refused with a Status', async () => {
    const refusals: string[] = []
    for (const [path, as] of [[`${PODS}/none/exec?command=a&stdout=1`], [`${PODS}/p/exec?stdout=1`], [`${PODS}/far/exec?command=a&stdout=1`], [`${PODS}/p/exec?command=a&stdout=1`, await s.client('joe', [])]] as [string, Credential?][]) {
      const { socket, answer } = await upgrade(s, 'GET', path, { upgrade: 'websocket' }, as)
      refusals.push(answer.split('\r\n')[0] ?? '')
      socket.destroy()
    }
    assert.deepEqual(refusals, ['HTTP/1.1 404 NotFound', 'HTTP/1.1 400 BadRequest', 'HTTP/1.1 503 ServiceUnavailable', 'HTTP/1.1 403 Forbidden'])
  })

  test('who may get a connection, but make none, gets none by a WebSocket\'s GET', async () => {
    const reader = await s.client('joe', ['readers'])
    const answers: string[] = []
    for (const path of ['exec?command=a&stdout=1', 'attach?stdout=1', 'portforward?ports=80']) {
      const { socket, answer } = await upgrade(s, 'GET', `${PODS}/p/${path}`, { upgrade: 'websocket' }, reader)
      answers.push(answer.split('\r\n')[0] ?? '')
      socket.destroy()
    }
    assert.deepEqual(answers, ['HTTP/1.1 403 Forbidden', 'HTTP/1.1 403 Forbidden', 'HTTP/1.1 403 Forbidden'])
  })

  test('links in what a pod answers lead back through the proxy; what is asked without a slash is sent to where it has one', async () => {
    const at = `${PODS}/p:8080/proxy`
    const host = `127.0.0.1:${s.port}`
    const plain = await ask(s, 'GET', `${at}/page`)
    assert.deepEqual([plain.text, plain.headers['access-control-allow-origin']], [`<a href="${at}/there?x">${host}</a>${at}/page`, undefined])
    const packed = await ask(s, 'GET', `${at}/page.gz`)
    assert.deepEqual([packed.headers['content-encoding'], gunzipSync(packed.bytes).toString()], ['gzip', `<a href="${at}/there?x">${host}</a>${at}/page.gz`])
    const moved = await ask(s, 'GET', `${at}/moved`)
    assert.deepEqual([moved.status, moved.headers.location, moved.text], [302, `${at}/there`, '<a href="/there">'])
    const bare = await ask(s, 'GET', `${at}?a=%20b`)
    assert.deepEqual([bare.status, bare.headers.location, bare.text], [301, `${at}/?a=%20b`, ''])
    assert.match((await ask(s, 'POST', at, {})).text, /^POST \/ /)
  })

  test('nodes/proxy and pods/proxy pass method, path, query and body on, and the answer back', async () => {
    const node = await ask(s, 'GET', '/api/v1/nodes/n1/proxy/stats/summary?x=%20y')
    assert.deepEqual([node.status, node.text, node.headers['x-answered']], [200, 'GET /stats/summary?x=%20y ', 'yes'])
    const pod = await ask(s, 'POST', `${PODS}/p:8080/proxy/a/b/?q=1`, { hello: 1 })
    assert.deepEqual([pod.status, pod.text], [200, 'POST /a/b/?q=1 {"hello":1}'])
    assert.equal((await ask(s, 'GET', `${PODS}/new/proxy/`)).status, 400)
    const options = await ask(s, 'OPTIONS', `${PODS}/p:8080/proxy/a`)
    assert.deepEqual([options.status, options.text], [200, 'OPTIONS /a '])
    assert.equal((await ask(s, 'OPTIONS', `${PODS}/p`)).status, 405)
  })

  test('only a node\'s certificate opens a tunnel, and of two connections the one that lives is used', async () => {
    for (const credential of [await s.client('joe', ['system:nodes']), await s.client('system:node:n9', ['system:nodes'], 'proxy')]) {
      const stranger = await agentOf(s, 'n9', kubelet, credential).catch(() => undefined)
      if (stranger && !stranger.destroyed) await once(stranger, 'close')
    }
    assert.deepEqual(s.hub.connected(), ['n1'])
    const newer = await agentOf(s, 'n1', kubelet)
    assert.equal((await ask(s, 'GET', `${PODS}/p/log`)).status, 200)
    agent.destroy()
    await once(agent, 'close')
    assert.equal((await ask(s, 'GET', `${PODS}/p/log`)).status, 200)
    const newest = await agentOf(s, 'n1', kubelet)
    newest.destroy()
    await once(newest, 'close')
    while ((await ask(s, 'GET', `${PODS}/p/log`)).status !== 200) await new Promise<void>((r) => setImmediate(r))
    newer.destroy()
    while (s.hub.isConnected('n1')) await new Promise<void>((r) => setImmediate(r))
    assert.equal((await ask(s, 'GET', `${PODS}/p/log`)).status, 503)
  })

  test('a server that stops lets idle tunnels go at once, also where a stream could not even be asked for', async () => {
    const idle = await agentOf(s, 'n1', kubelet)
    while (!s.hub.isConnected('n1')) await new Promise<void>((r) => setImmediate(r))
    // HTTP/2 throws at an authority like this one instead of opening a stream.
    await assert.rejects(s.hub.connect('n1', ['a', 'b'] as unknown as string), { code: 'NODE_REFUSED', message: /^node "n1": / })
    s.hub.drain()
    await once(idle, 'close')
    while (s.hub.isConnected('n1')) await new Promise<void>((r) => setImmediate(r))
  })
})

test('after a start, whoever asks for a node waits for its agent, but not beyond the stop', { timeout: 180_000 }, async (t) => {
  const s = await served({}, {}, { agentsBackMs: 3_600_000 })
  const kubelet = kubeletServer([])
  t.after(() => s.http.close())
  for (const name of ['n1', 'n2']) assert.equal((await ask(s, 'POST', '/api/v1/nodes', { metadata: { name } })).status, 201)
  const early = ask(s, 'GET', '/api/v1/nodes/n1/proxy/hello')
  const never = ask(s, 'GET', '/api/v1/nodes/n2/proxy/hello')
  const agent = await agentOf(s, 'n1', kubelet)
  t.after(() => agent.destroy())
  assert.deepEqual(await early.then(({ status, text }) => [status, text]), [200, 'GET /hello '])
  s.hub.drain()
  assert.equal((await never).status, 503)
})
