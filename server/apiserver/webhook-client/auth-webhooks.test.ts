import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Client } from '#api/client/client.ts'
import { systemClock } from '#base/clock.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom, systemRandom } from '#base/random.ts'
import { AUTHORIZATION_WEBHOOK_CACHE, createAuthorizationWebhook, parseAccessReview } from './authorization-webhook.ts'
import { createAnswerCache } from './answer-cache.ts'
import { httpsServer, type Answer, type TestServer } from './https-server.test-support.ts'
import { createTokenWebhook, parseTokenReview, TOKEN_WEBHOOK_CACHE_MS } from './token-webhook.ts'
import { createWebhookClient } from './webhook-client.ts'
import { parseWebhookIdentities, parseWebhookKubeconfig, type WebhookServer } from './webhook-kubeconfig.ts'

const open: { close(): unknown }[] = []
after(async () => { for (const one of open) await one.close() })

async function webhook(answer: Answer) {
  const server = await httpsServer(answer)
  const webhooks = createWebhookClient({ client: {} as Client, connector: undefined, clock: systemClock, random: systemRandom })
  open.push(server, webhooks)
  const at: WebhookServer = { config: { url: `https://127.0.0.1:${server.port}/review`, caBundle: server.caBundle }, identity: { bearer: 'me' } }
  return { server, parts: { webhooks, server: at, clock: systemClock, random: systemRandom, log: silentLog } }
}

const say = (value: unknown): Answer => (_request, res) => res.end(JSON.stringify(value))
const bodies = (server: TestServer) => server.received.map((r) => JSON.parse(r.body) as { apiVersion: string; kind: string; spec: unknown })

test('a token is asked about once, then known for a while', async () => {
  const { server, parts } = await webhook(say({ kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1', status: { authenticated: true, user: { username: 'jane', uid: '7', groups: ['dev'], extra: { k: ['v'] } }, audiences: ['api', 'x'] } }))
  const ask = createTokenWebhook({ ...parts, version: 'v1', cacheMs: TOKEN_WEBHOOK_CACHE_MS })
  const known = { ok: true, user: { name: 'jane', uid: '7', groups: ['dev', 'system:authenticated'], extra: { k: ['v'] } }, audiences: ['api'] }
  assert.deepStrictEqual([await ask('t', ['api', 'y']), await ask('t', ['api', 'y'])], [known, known])
  assert.deepStrictEqual([server.received.length, server.received[0]?.headers.authorization, server.received[0]?.path, bodies(server)[0]?.spec], [1, 'Bearer me', '/review?timeout=30s', { token: 't', audiences: ['api', 'y'] }])
})

test('tokens that are unknown, meant for others, refused, or that nobody can be asked about', async () => {
  assert.deepStrictEqual([
    parseTokenReview({ status: { authenticated: false } }, undefined), parseTokenReview({ status: { authenticated: false, error: 'expired' } }, undefined), parseTokenReview({}, undefined),
    parseTokenReview({ status: { authenticated: true, user: { username: 'a' }, audiences: ['x'] } }, ['api']), parseTokenReview({ status: { authenticated: true, user: {} } }, undefined),
  ], [{ ok: false, why: 'none' }, { ok: false, why: 'invalid', because: 'expired' }, { ok: false, why: 'none' }, { ok: false, why: 'none' }, { ok: false, why: 'invalid', because: 'the webhook named no user' }])
  const { parts } = await webhook((_request, res) => { res.statusCode = 403; res.end() })
  const answer = await createTokenWebhook({ ...parts, version: 'v1', cacheMs: 0 })('t', undefined)
  assert.deepStrictEqual([answer.ok, 'because' in answer && answer.because], [false, 'unknown'])
})

test('a server in trouble is asked again', async () => {
  let asked = 0
  const { parts } = await webhook((_request, res) => { res.statusCode = ++asked < 3 ? 500 : 200; res.end('{"status":{"authenticated":true,"user":{"username":"a"}}}') })
  const clock = new FakeClock()
  // Only the waits between attempts are the fake clock's.
  const done = createTokenWebhook({ ...parts, clock, random: seededRandom(1), version: 'v1beta1', cacheMs: 0 })('t', undefined)
  const state = { isDone: false }
  void done.finally(() => { state.isDone = true })
  while (!state.isDone) {
    await systemClock.sleep(2)
    await clock.advance(1_000)
  }
  assert.deepStrictEqual([asked, (await done).ok], [3, true])
})

test('the authorizer asks with everything it knows, and keeps yes longer than no', async () => {
  const { server, parts } = await webhook(({ body }, res) => res.end(JSON.stringify({ status: { allowed: body.includes('"verb":"get"'), reason: 'because' } })))
  const ask = createAuthorizationWebhook({ ...parts, version: 'v1beta1', ...AUTHORIZATION_WEBHOOK_CACHE })
  const user = { name: 'jane', groups: ['dev'], uid: '7' }
  const pods = { group: '', version: 'v1', resource: 'pods', subresource: 'log', namespace: 'ns', name: '' }
  for (let i = 0; i < 2; i++) assert.deepStrictEqual(await ask({ user, verb: 'get', resource: pods }), { decision: 'allow', reason: 'because' })
  assert.deepStrictEqual(await ask({ user, verb: 'list', resource: pods, fieldSelector: 'a=b' }), { decision: 'none', reason: 'because' })
  assert.deepStrictEqual(await ask({ user, verb: 'get', path: '/metrics' }), { decision: 'allow', reason: 'because' })
  const who = { user: 'jane', group: ['dev'], uid: '7' }
  assert.deepStrictEqual(bodies(server).map((b) => b.spec), [
    { resourceAttributes: { namespace: 'ns', verb: 'get', version: 'v1', resource: 'pods', subresource: 'log' }, ...who },
    { resourceAttributes: { namespace: 'ns', verb: 'list', version: 'v1', resource: 'pods', subresource: 'log', fieldSelector: { requirements: [{ key: 'a', operator: 'In', values: ['b'] }] } }, ...who },
    { nonResourceAttributes: { path: '/metrics', verb: 'get' }, ...who },
  ])
  assert.deepStrictEqual([parseAccessReview({ status: { allowed: false, denied: true } }).decision, parseAccessReview({ status: { allowed: true, denied: true } }).decision, parseAccessReview({}).decision], ['deny', 'deny', 'none'])
})

test('an authorizer that cannot be asked has no opinion', async () => {
  const { parts } = await webhook(say({}))
  const ask = createAuthorizationWebhook({ ...parts, server: { config: { url: 'https://127.0.0.1:1' }, identity: {} }, version: 'v1', ...AUTHORIZATION_WEBHOOK_CACHE })
  assert.deepStrictEqual(await ask({ user: { name: 'a', groups: [] }, verb: 'get', path: '/' }), { decision: 'none', reason: '', failed: 'Post "https://127.0.0.1:1/?timeout=30s": dial tcp 127.0.0.1:1: connect: connection refused' })
})

test('answers are kept until their time is over, asked for once at a time, and bounded', async () => {
  const clock = new FakeClock()
  const cache = createAnswerCache<string>(clock, (answer) => (answer === 'short' ? 10 : 100), 2)
  let asked = 0
  const get = (key: string, answer = key) => cache.get(key, () => { asked++; return Promise.resolve(answer) })
  await Promise.all([get('a'), get('a')])
  await get('s', 'short')
  assert.equal(asked, 2)
  await clock.advance(50)
  await get('a')
  await get('s', 'short')
  assert.equal(asked, 3, 'the short one is over')
  await get('b')
  await get('a')
  assert.equal(asked, 5, 'the least recently used went')
  await assert.rejects(cache.get('f', () => Promise.reject(new Error('no'))))
  await get('f')
  assert.equal(asked, 6, 'failures are not kept')
})

test('users of a kubeconfig are found by where the webhook is, the narrowest name first', () => {
  const users = ['hook.ns.svc', 'hook.example.com:8443', '*.example.com', '*.ns.svc', '*', 'me'].map((name) => ({ name, user: { token: name } }))
  const of = (config: object) => parseWebhookIdentities('/k', 'f', () => JSON.stringify(config))
  const all = of({ users })
  const token = (host: string, port: number, from = all) => from(host, port)?.bearer
  assert.deepStrictEqual([token('hook.ns.svc', 443), token('hook.ns.svc', 8443), token('hook.example.com', 8443), token('hook.example.com', 443), token('a.b.example.com', 443), token('other.ns.svc', 443), token('elsewhere', 1)],
    ['hook.ns.svc', '*', 'hook.example.com:8443', '*.example.com', '*.example.com', '*.ns.svc', '*'])
  assert.equal(all('elsewhere', 1), all('other', 2), 'the same one each time')
  assert.equal(token('x', 1, of({ users: [users[5]], contexts: [{ name: 'c', context: { user: 'me' } }], 'current-context': 'c' })), 'me')
  assert.equal(of({ users: [] })('x', 1), undefined)
})

test('a kubeconfig names the server and who asks', () => {
  const files: Record<string, string> = {
    '/etc/hook.yaml': `
clusters: [{name: c, cluster: {server: 'https://hook.example:8443/authn', certificate-authority: ca.pem, tls-server-name: other}}]
users: [{name: u, user: {client-certificate-data: ${Buffer.from('CERT').toString('base64')}, client-key: /key.pem, tokenFile: token}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`,
    '/etc/ca.pem': 'CA', '/key.pem': 'KEY', '/etc/token': 'secret\n', '/etc/none.yaml': 'clusters: []', '/etc/http.yaml': 'clusters: [{name: "", cluster: {server: "http://x"}}]',
  }
  const read = (path: string) => { const found = files[path]; if (found === undefined) throw new Error('ENOENT'); return found }
  assert.deepStrictEqual(parseWebhookKubeconfig('/etc/hook.yaml', 'f', read), {
    config: { url: 'https://hook.example:8443/authn', caBundle: Buffer.from('CA').toString('base64') },
    identity: { clientCertificate: { certPem: 'CERT', keyPem: 'KEY' }, bearer: 'secret', serverName: 'other' },
  })
  assert.throws(() => parseWebhookKubeconfig('/etc/none.yaml', 'f', read), { code: 'USAGE', message: '--f: /etc/none.yaml names no server: it must be a kubeconfig whose current context names a cluster with an https server' })
  assert.throws(() => parseWebhookKubeconfig('/etc/http.yaml', 'f', read), /names the server "http:\/\/x"/)
  assert.throws(() => parseWebhookKubeconfig('/etc/gone', 'f', read), /--f: \/etc\/gone cannot be read \(ENOENT\)/)
})
