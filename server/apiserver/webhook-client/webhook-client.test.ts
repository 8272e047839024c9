import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { ApiError, type Client } from '#api/client/client.ts'
import type { EndpointSlice, Service } from '#api/types/index.ts'
import { systemClock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import { systemRandom } from '#base/random.ts'
import type { NodeConnector } from '../nodes/connector.ts'
import { httpsServer, testAuthority, type Answer, type TestServer } from './https-server.test-support.ts'
import { WEBHOOK_POOL } from './https-pool.ts'
import { createWebhookClient, type ClientConfig, type WebhookClient } from './webhook-client.ts'

const open: { close(): unknown }[] = []
after(async () => { for (const one of open) await one.close() })

const echo: Answer = ({ body }, res) => { res.setHeader('content-type', 'application/json'); res.end(JSON.stringify({ got: JSON.parse(body) as unknown })) }

async function server(answer: Answer = echo, names: readonly string[] = []): Promise<TestServer> {
  const s = await httpsServer(answer, names)
  open.push(s)
  return s
}

/** A cluster with one service and its slices. */
function cluster(service?: Service, slices: EndpointSlice[] = []): Client {
  return {
    get: () => (service ? Promise.resolve(service) : Promise.reject(new ApiError({ code: 404, reason: 'NotFound', message: 'services "hook" not found' }))),
    list: () => Promise.resolve({ items: slices, metadata: { resourceVersion: '1' } }),
  } as unknown as Client
}

function webhooks(client: Client = cluster(), connector?: NodeConnector): WebhookClient {
  const made = createWebhookClient({ client, connector, clock: systemClock, random: systemRandom })
  open.push(made)
  return made
}

const call = (hooks: WebhookClient, config: ClientConfig, timeoutMs = 5_000, signal = new AbortController().signal) => hooks.call({ config, body: Buffer.from('{"a":1}'), timeoutMs, tellTimeout: true, signal })
const failure = (...args: Parameters<typeof call>) => call(...args).then(() => 'no failure', (error: unknown) => asError(error).message)
const service = (over: Partial<Service['spec'] & object> = {}): Service => ({ metadata: { name: 'hook', namespace: 'ns' }, spec: { ports: [{ port: 443, name: 'https' }], ...over } })
const slice = (port: number, over: Partial<NonNullable<EndpointSlice['endpoints']>[number]> = {}): EndpointSlice => ({ addressType: 'IPv4', endpoints: [{ addresses: ['127.0.0.1'], ...over }], ports: [{ name: 'https', port }] })
const IN_CLUSTER = { namespace: 'ns', name: 'hook', path: 'review' }

test('a webhook with a URL gets the JSON and the time it has, over connections that are used again', async () => {
  const s = await server()
  const hooks = webhooks()
  const config = { url: `https://127.0.0.1:${s.port}/admit`, caBundle: s.caBundle }
  assert.deepStrictEqual([await call(hooks, config, 1_500), await call(hooks, config), s.connections()], [{ got: { a: 1 } }, { got: { a: 1 } }, 1])
  const { method, path, headers } = s.received[0] as TestServer['received'][number]
  assert.deepStrictEqual([method, path, headers['content-type'], headers['host']], ['POST', '/admit?timeout=2s', 'application/json', `127.0.0.1:${s.port}`])
  // The server drops an idle connection: the next call finds out and makes a new one.
  s.closeIdle()
  assert.deepStrictEqual([await call(hooks, config), s.connections()], [{ got: { a: 1 } }, 2])
})

test('a service is reached at its ready endpoints, under its own name', async () => {
  const s = await server(echo, ['hook.ns.svc'])
  const hooks = webhooks(cluster(service(), [slice(1, { conditions: { ready: false } }), slice(s.port)]))
  assert.deepStrictEqual(await call(hooks, { service: IN_CLUSTER, caBundle: s.caBundle }), { got: { a: 1 } })
  assert.deepStrictEqual([s.received[0]?.path, s.received[0]?.headers.host], ['/review?timeout=5s', 'hook.ns.svc:443'])
})

test('a pod is reached through the tunnel of its node, and from here when the node cannot', async () => {
  const s = await server(echo, ['hook.ns.svc'])
  const asked: string[] = []
  const connector: NodeConnector = {
    connect: (node, authority = '') => {
      asked.push(`${node} ${authority}`)
      return node === 'near' ? Promise.resolve(connect(s.port, '127.0.0.1')) : Promise.reject(new CodedError('NODE_NOT_CONNECTED', `node "${node}" is not connected to this server`))
    },
  }
  const near = webhooks(cluster(service(), [slice(7, { addresses: ['10.42.0.9'], nodeName: 'near' })]), connector)
  assert.deepStrictEqual(await call(near, { service: IN_CLUSTER, caBundle: s.caBundle }), { got: { a: 1 } })
  const away = webhooks(cluster(service(), [slice(s.port, { nodeName: 'away' })]), connector)
  assert.deepStrictEqual(await call(away, { service: IN_CLUSTER, caBundle: s.caBundle }), { got: { a: 1 } })
  assert.deepStrictEqual(asked, ['near 10.42.0.9:7', `away 127.0.0.1:${s.port}`])
})

test('an ExternalName service is the name it stands for', async () => {
  const s = await server(echo, ['hook.ns.svc'])
  const hooks = webhooks(cluster(service({ type: 'ExternalName', externalName: '127.0.0.1' })))
  assert.deepStrictEqual(await call(hooks, { service: { ...IN_CLUSTER, port: s.port }, caBundle: s.caBundle }), { got: { a: 1 } })
})

test('failures are told in upstream\'s words', async () => {
  const s = await server(echo, ['other.ns.svc'])
  const stranger = await testAuthority('stranger')
  const plain = createServer((_req, res) => res.end())
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve))
  open.push(plain)
  const { port: plainPort } = plain.address() as AddressInfo
  const url = `https://127.0.0.1:${s.port}`
  assert.equal(await failure(webhooks(), { url: 'https://127.0.0.1:1/x' }), 'Post "https://127.0.0.1:1/x?timeout=5s": dial tcp 127.0.0.1:1: connect: connection refused')
  assert.equal(await failure(webhooks(), { url, caBundle: Buffer.from(stranger.pem).toString('base64') }), `Post "${url}/?timeout=5s": tls: failed to verify certificate: x509: certificate signed by unknown authority`)
  assert.equal(await failure(webhooks(), { url }), `Post "${url}/?timeout=5s": tls: failed to verify certificate: x509: certificate signed by unknown authority`)
  assert.equal(await failure(webhooks(), { url: `https://127.0.0.1:${plainPort}`, caBundle: s.caBundle }), `Post "https://127.0.0.1:${plainPort}/?timeout=5s": http: server gave HTTP response to HTTPS client`)
  assert.equal(await failure(webhooks(cluster(service(), [slice(s.port)])), { service: IN_CLUSTER, caBundle: s.caBundle }), 'Post "https://hook.ns.svc:443/review?timeout=5s": tls: failed to verify certificate: x509: certificate is valid for other.ns.svc, not hook.ns.svc')
  assert.equal(await failure(webhooks(), { service: IN_CLUSTER }), 'Post "https://hook.ns.svc:443/review?timeout=5s": service "hook" not found')
  assert.equal(await failure(webhooks(cluster(service())), { service: IN_CLUSTER }), 'Post "https://hook.ns.svc:443/review?timeout=5s": no endpoints available for service "hook"')
  assert.equal(await failure(webhooks(cluster(service())), { service: { ...IN_CLUSTER, port: 8443 } }), 'Post "https://hook.ns.svc:8443/review?timeout=5s": no service port 8443 found for service "hook"')
  assert.match(await failure(webhooks(), { url, caBundle: Buffer.from('-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n').toString('base64') }), /unable to load root certificates/)
})

test('answers that are no answers', async () => {
  const say = (status: number, text: string): Answer => (_request, res) => { res.statusCode = status; res.end(text) }
  const of = async (answer: Answer) => {
    const s = await server(answer)
    return failure(webhooks(), { url: `https://127.0.0.1:${s.port}`, caBundle: s.caBundle })
  }
  assert.equal(await of(say(404, 'x')), 'the server could not find the requested resource')
  assert.equal(await of(say(422, 'x')), 'the server rejected our request due to an error in our request')
  assert.equal(await of(say(401, 'x')), 'the server has asked for the client to provide credentials')
  assert.equal(await of(say(406, '')), 'the server was unable to respond with a content type that the client supports')
  assert.equal(await of(say(500, 'went wrong\n')), 'an error on the server ("went wrong") has prevented the request from succeeding')
  assert.equal(await of(say(403, JSON.stringify({ kind: 'Status', message: 'not you' }))), 'not you')
  assert.match(await of(say(200, 'hello')), /json parse error/)
  assert.match(await of((_request, res) => { res.end(Buffer.alloc(17 * 1024 * 1024, 32)) }), /larger than 16777216 bytes/)
  assert.match(await of((_request, res) => { res.socket?.destroy() }), /^Post "https:\/\/127.0.0.1:\d+\/\?timeout=5s": EOF$/)
})

test('a webhook that is too slow, and a caller who leaves', async () => {
  const s = await server(() => { /* never answers */ })
  const config = { url: `https://127.0.0.1:${s.port}/slow`, caBundle: s.caBundle }
  assert.equal(await failure(webhooks(), config, 50), `Post "https://127.0.0.1:${s.port}/slow?timeout=1s": context deadline exceeded`)
  const leaving = new AbortController()
  const done = failure(webhooks(), config, 5_000, leaving.signal)
  leaving.abort()
  assert.equal(await done, `Post "https://127.0.0.1:${s.port}/slow?timeout=5s": context canceled`)
})

test('no more calls at once than there may be connections, and all are made', async () => {
  const held: ServerResponse[] = []
  let most = 0
  const s = await server((_request, res) => {
    held.push(res)
    most = Math.max(most, held.length)
    // Nobody is answered before as many have come as may.
    if (s.received.length >= WEBHOOK_POOL.connectionsMax) for (const each of held.splice(0)) each.end('{}')
  })
  const hooks = webhooks()
  const results = await Promise.all(Array.from({ length: 100 }, () => call(hooks, { url: `https://127.0.0.1:${s.port}`, caBundle: s.caBundle }, 30_000)))
  assert.deepStrictEqual([results.length, s.received.length, most], [100, 100, WEBHOOK_POOL.connectionsMax])
})
