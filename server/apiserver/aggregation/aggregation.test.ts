import assert from 'node:assert/strict'
import { connect as connectHttp2 } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { after, test } from 'node:test'
import type { APIService } from '#api/types/index.ts'
import { systemClock } from '#base/clock.ts'
import { harness, items, type Harness, type Loose } from '../app.test-support.ts'
import { served, type Served } from '../http-server.test-support.ts'
import type { NodeConnector } from '../nodes/connector.ts'
import { rows } from '../registry.ts'
import { httpsServer, testAuthority, type Answer, type TestServer } from '../webhook-client/https-server.test-support.ts'
import { decideReachable, nextStatus, PASSED } from './availability.ts'
import type { Backend } from './api-services.ts'
import { remoteHeaders } from './backend-client.ts'
import { rankGroups } from './priorities.ts'
import { decideRegistration } from './registration.ts'
import { isAggregated, parseResourceList } from './remote-discovery.ts'

const SERVICES = '/apis/apiregistration.k8s.io/v1/apiservices'
const open: { close(): unknown }[] = []
after(async () => { for (const one of open) await one.close() })

const RESOURCES = { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: 'wardle.example.com/v1alpha1', resources: [
  { name: 'flunders', singularName: 'flunder', namespaced: true, kind: 'Flunder', verbs: ['get', 'list', 'watch'], shortNames: ['fl'] },
  { name: 'flunders/status', singularName: '', namespaced: true, kind: 'Flunder', verbs: ['get'] },
] }

const ref = (name: string) => ({ $ref: `#/definitions/${name}` })
const SWAGGER = {
  swagger: '2.0', info: { title: 'wardle' },
  paths: { '/apis/wardle.example.com/v1alpha1/flunders': { get: { responses: { 200: { description: 'OK', schema: ref('com.example.Flunder') } } } }, '/apis/other/v1/': { get: {} } },
  definitions: { 'com.example.Flunder': { type: 'object', properties: { meta: ref('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta') } }, 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta': { type: 'object', description: 'another one' }, unused: {} },
}

/** What the extension API server of these tests answers. */
const flunders: Answer = ({ path, method, body }, res) => {
  const say = (value: unknown, status = 200) => { res.writeHead(status, { 'content-type': 'application/json' }); res.end(JSON.stringify(value)) }
  if (path === '/apis/wardle.example.com/v1alpha1') return say(RESOURCES)
  if (path === '/openapi/v3') return say({ paths: { 'apis/wardle.example.com/v1alpha1': { serverRelativeURL: '/openapi/v3/apis/wardle.example.com/v1alpha1?hash=ABC' }, 'apis/other/v1': { serverRelativeURL: '/x' } } })
  if (path === '/openapi/v2') return say(SWAGGER)
  if (path.startsWith('/openapi/v3/apis/wardle.example.com/v1alpha1')) return say({ openapi: '3.0.0', info: { title: 'wardle' } })
  if (path.includes('watch=1')) {
    res.writeHead(200, { 'content-type': 'application/json' })
    res.write('{"type":"ADDED","object":{}}\n')
    return
  }
  if (method === 'POST') return say({ made: JSON.parse(body) as unknown }, 201)
  say({ kind: 'Flunder', path })
}

interface Stage { h: Harness; /** Connections end at once from now on. */ cut: () => void; backend: TestServer; stop: () => void; register: (over?: Record<string, unknown>) => Promise<void>; condition: (reason: string) => Promise<Loose> }

/** The backend is a pod on the node `n`. */
async function stage(answer: Answer = flunders, serve: (connector: NodeConnector) => Harness | Promise<Harness> = (nodeConnector) => harness({ rows, clock: systemClock, nodeConnector })): Promise<Stage> {
  const backend = await httpsServer(answer, ['api.wardle.svc'])
  let isCut = false
  const h = await serve({
    connect: (node, authority) => new Promise((resolve, reject) => {
      assert.deepStrictEqual([node, authority], ['n', '10.42.0.9:6443'])
      const socket = connect(backend.port, '127.0.0.1', () => { if (isCut) socket.destroy(); resolve(socket) })
      socket.on('error', reject)
    }),
  })
  const stopper = new AbortController()
  const running = h.api.run(stopper.signal)
  open.push({ close: async () => { stopper.abort(); await running; h.api.close(); await backend.close() } })
  await h.call('POST', '/api/v1/namespaces', { metadata: { name: 'wardle' } })
  await h.call('POST', '/api/v1/namespaces/wardle/services', { metadata: { name: 'api' }, spec: { clusterIP: 'None', ports: [{ name: 'https', port: 443 }] } })
  return {
    h, backend, cut: () => { isCut = true; backend.server.closeAllConnections() }, stop: () => stopper.abort(),
    async register(spec = {}) {
      const made = await h.call('POST', SERVICES, { metadata: { name: 'v1alpha1.wardle.example.com' }, spec: { group: 'wardle.example.com', version: 'v1alpha1', groupPriorityMinimum: 2000, versionPriority: 200, service: { namespace: 'wardle', name: 'api' }, caBundle: backend.caBundle, ...spec } })
      assert.equal(made.status, 201, made.text)
    },
    async condition(reason) {
      const watch = await h.watch(`${SERVICES}?watch=1&fieldSelector=metadata.name%3Dv1alpha1.wardle.example.com&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=`)
      const deadline = systemClock.monotonicMs() + 10_000
      for (let seen = 0; ; await systemClock.sleep(2)) {
        for (; seen < watch.events.length; seen++) {
          const [condition] = items<Loose>(watch.events[seen]?.['object']?.['status']?.['conditions'])
          if (String(condition?.['reason']) !== reason) continue
          watch.stop()
          return condition as Loose
        }
        assert.ok(systemClock.monotonicMs() < deadline, `no condition ${reason}, but ${JSON.stringify(watch.events.at(-1)?.['object']?.['status'])}`)
      }
    },
  }
}

const SLICES = '/apis/discovery.k8s.io/v1/namespaces/wardle/endpointslices'
const SLICE = { metadata: { name: 'api-1', labels: { 'kubernetes.io/service-name': 'api' } }, addressType: 'IPv4', endpoints: [{ addresses: ['10.42.0.9'], nodeName: 'n' }], ports: [{ name: 'https', port: 6443 }] }

async function endpoints(s: Stage): Promise<void> {
  const made = await s.h.call('POST', SLICES, SLICE)
  assert.equal(made.status, 201, made.text)
}

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'

/** What the aggregated discovery says of the group version of these tests once it is so fresh. */
async function discovered(s: Stage, freshness: 'Current' | 'Stale'): Promise<Loose> {
  const deadline = systemClock.monotonicMs() + 10_000
  for (;; await systemClock.sleep(2)) {
    const group = items<Loose>((await s.h.call('GET', '/apis', undefined, { accept: AGGREGATED })).json['items']).at(-1) as Loose
    const [version] = items<{ freshness: string }>(group['versions'])
    if (version?.freshness === freshness) return group
    assert.ok(systemClock.monotonicMs() < deadline, `not ${freshness}: ${JSON.stringify(group)}`)
  }
}

const FLUNDERS = '/apis/wardle.example.com/v1alpha1/namespaces/default/flunders'

test('this server registers its own group versions, each available, and leaves others\' alone', async () => {
  const s = await stage()
  const deadline = systemClock.monotonicMs() + 10_000
  const list = async () => items<APIService>((await s.h.call('GET', SERVICES)).json['items'])
  for (let all = await list(); all.length < 20 || !all.some((a) => a.metadata?.name === 'v1.storage.k8s.io'); all = await list()) {
    assert.ok(systemClock.monotonicMs() < deadline)
    await systemClock.sleep(2)
  }
  const apps = (await list()).find((a) => a.metadata?.name === 'v1.apps')
  assert.deepStrictEqual([apps?.metadata?.labels, apps?.spec, apps?.status?.conditions?.map(({ type, status, reason, message }) => [type, status, reason, message])], [
    { 'kube-aggregator.kubernetes.io/automanaged': 'onstart' }, { group: 'apps', version: 'v1', groupPriorityMinimum: 17800, versionPriority: 15 }, [['Available', 'True', 'Local', 'Local APIServices are always available']],
  ])
  assert.ok((await list()).some((a) => a.metadata?.name === 'v1.'))
})

test('a request for a group version of another server goes there, for its user, and the answer comes back', async () => {
  const s = await stage()
  await endpoints(s)
  await s.register()
  assert.deepStrictEqual({ ...(await s.condition('Passed')), lastTransitionTime: '' }, { type: 'Available', status: 'True', reason: 'Passed', message: 'all checks passed', lastTransitionTime: '' })
  const made = await s.h.call('POST', `${FLUNDERS}?fieldManager=x`, { metadata: { name: 'a' } }, { 'x-remote-user': 'root', 'x-remote-group': 'system:masters', cookie: 'c=d' })
  assert.deepStrictEqual([made.status, made.json['made']], [201, { metadata: { name: 'a' } }])
  const seen = s.backend.received.findLast(({ method }) => method === 'POST')
  assert.deepStrictEqual([seen?.method, seen?.path, seen?.headers['x-remote-user'], seen?.headers['x-remote-group'], seen?.headers.authorization, seen?.headers.cookie, seen?.headers.host], [
    'POST', `${FLUNDERS}?fieldManager=x`, 'admin', 'system:masters, system:authenticated', undefined, undefined, 'api.wardle.svc:443',
  ])
  assert.equal((await s.h.call('GET', `${FLUNDERS}/a`, undefined, { authorization: 'Bearer weak' })).status, 403)
  const watch = await s.h.watch(`${FLUNDERS}?watch=1`)
  for (let turn = 0; watch.events.length === 0 && turn < 5_000; turn++) await systemClock.sleep(1)
  assert.deepStrictEqual(watch.events, [{ type: 'ADDED', object: {} }])
  watch.ended.catch(() => { /* it is cut off */ })
  watch.stop()
})

test('discovery is one: in order of priority, with what the other server says it serves', async () => {
  const s = await stage()
  await endpoints(s)
  await s.register()
  await s.condition('Passed')
  const groups = items<Loose>((await s.h.call('GET', '/apis')).json['groups']).map((g) => String(g['name']))
  assert.deepStrictEqual([groups[0], groups.at(-1), groups.indexOf('apps') < groups.indexOf('batch')], ['apiregistration.k8s.io', 'wardle.example.com', true])
  assert.deepStrictEqual((await s.h.call('GET', '/apis/wardle.example.com')).json, { kind: 'APIGroup', apiVersion: 'v1', name: 'wardle.example.com', versions: [{ groupVersion: 'wardle.example.com/v1alpha1', version: 'v1alpha1' }], preferredVersion: { groupVersion: 'wardle.example.com/v1alpha1', version: 'v1alpha1' } })
  assert.deepStrictEqual((await s.h.call('GET', '/apis/wardle.example.com/v1alpha1')).json, RESOURCES)
  const responseKind = { group: 'wardle.example.com', version: 'v1alpha1', kind: 'Flunder' }
  assert.deepStrictEqual(await discovered(s, 'Current'), {
    metadata: { name: 'wardle.example.com' },
    versions: [{ version: 'v1alpha1', freshness: 'Current', resources: [{ resource: 'flunders', responseKind, scope: 'Namespaced', singularResource: 'flunder', verbs: ['get', 'list', 'watch'], shortNames: ['fl'], subresources: [{ subresource: 'status', responseKind, verbs: ['get'] }] }] }],
  })
  const index = (await s.h.call('GET', '/openapi/v3')).json['paths'] as Loose
  assert.deepStrictEqual([index['apis/wardle.example.com/v1alpha1'], index['apis/other/v1'], index['apis/apps/v1'] !== undefined], [{ serverRelativeURL: '/openapi/v3/apis/wardle.example.com/v1alpha1?hash=ABC' }, undefined, true])
  assert.deepStrictEqual((await s.h.call('GET', '/openapi/v3/apis/wardle.example.com/v1alpha1?hash=ABC')).json['info'], { title: 'wardle' })
})

test('apiregistration.k8s.io is the first group, whatever priority another one has', async () => {
  const s = await stage()
  await s.register({ groupPriorityMinimum: 20_000 })
  const groups = items<Loose>((await s.h.call('GET', '/apis')).json['groups']).map((g) => String(g['name']))
  const aggregated = items<Loose>((await s.h.call('GET', '/apis', undefined, { accept: AGGREGATED })).json['items']).map((g) => String((g['metadata'] as Loose)['name']))
  assert.deepStrictEqual([groups.slice(0, 3), aggregated], [['apiregistration.k8s.io', 'wardle.example.com', 'apps'], groups])
})

test('a server with aggregated discovery is asked for that alone, and for nothing by what only upstream would not send', async () => {
  const document = { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', items: [
    { metadata: { name: 'wardle.example.com' }, versions: [{ version: 'v1alpha1', resources: [{ resource: 'flunders', verbs: ['get'], categories: ['all'], subresources: [{ subresource: 'x', verbs: [] }] }] }, { version: 'v2', resources: [] }] },
  ] }
  const s = await stage(({ path, headers }, res) => {
    const isProbe = path === '/apis/wardle.example.com/v1alpha1'
    if (isProbe ? headers.accept !== undefined : path !== '/apis') return res.writeHead(406).end()
    if (isProbe) return res.end('no list')
    if (headers['if-none-match'] === '"1"') return res.writeHead(304).end()
    res.writeHead(200, { 'content-type': AGGREGATED, etag: '"1"' }).end(JSON.stringify(document))
  })
  await endpoints(s)
  await s.register()
  const none = { group: '', version: '', kind: '' }
  const group = { metadata: { name: 'wardle.example.com' }, versions: [{ version: 'v1alpha1', freshness: 'Current', resources: [{ resource: 'flunders', responseKind: none, scope: '', singularResource: '', verbs: ['get'], categories: ['all'], subresources: [{ subresource: 'x', responseKind: none, verbs: [] }] }] }] }
  assert.deepStrictEqual(await discovered(s, 'Current'), group)
  const asked = s.backend.received.find(({ path }) => path === '/apis')?.headers
  assert.deepStrictEqual([asked?.accept, asked?.['x-remote-user'], asked?.['x-remote-group']], [`${AGGREGATED},${AGGREGATED.replace('v=v2', 'v=v2beta1')}`, 'system:kube-aggregator', 'system:masters'])
  // Each change of an APIService has it asked again.
  await s.h.call('PATCH', `${SERVICES}/v1alpha1.wardle.example.com`, { metadata: { labels: { a: 'b' } } }, { 'content-type': 'application/merge-patch+json' })
  const deadline = systemClock.monotonicMs() + 10_000
  while (!s.backend.received.some(({ headers }) => headers['if-none-match'] === '"1"')) {
    assert.ok(systemClock.monotonicMs() < deadline)
    await systemClock.sleep(2)
  }
  assert.deepStrictEqual(await discovered(s, 'Current'), group)
})

test('a server that cannot tell what it serves yet is available, and asked again', async () => {
  let refusals = 2
  const s = await stage(({ path }, res) => {
    if (path === '/apis' && refusals > 0) { refusals--; return res.writeHead(503).end() }
    flunders({ path, method: 'GET', body: '', headers: {}, peer: undefined }, res)
  })
  await endpoints(s)
  await s.register()
  await s.condition('Passed')
  assert.deepStrictEqual((await discovered(s, 'Stale'))['versions'], [{ version: 'v1alpha1', freshness: 'Stale' }])
  assert.equal(items(items<Loose>((await discovered(s, 'Current'))['versions'])[0]?.['resources']).length, 1)
})

test('OpenAPI v2 has what the other server says of its group versions, and no more', async () => {
  const s = await stage()
  const before = await s.h.call('GET', '/openapi/v2')
  await endpoints(s)
  await s.register()
  await s.condition('Passed')
  const { json, headers } = await s.h.call('GET', '/openapi/v2')
  const [paths, definitions] = [json['paths'] as Loose, json['definitions'] as Loose]
  assert.deepStrictEqual([paths['/apis/wardle.example.com/v1alpha1/flunders'], paths['/apis/other/v1/'], definitions['unused']], [SWAGGER.paths['/apis/wardle.example.com/v1alpha1/flunders'], undefined, undefined])
  assert.deepStrictEqual([definitions['com.example.Flunder'], definitions['io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta_v2']], [{ type: 'object', properties: { meta: ref('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta_v2') } }, { type: 'object', description: 'another one' }])
  assert.notEqual(headers['etag'], before.headers['etag'])
  await s.h.call('DELETE', `${SERVICES}/v1alpha1.wardle.example.com`)
  assert.equal((await s.h.call('GET', '/openapi/v2')).headers['etag'], before.headers['etag'])
})

test('what is not there yet, or no longer, is told by its condition and 503', async () => {
  const s = await stage()
  await s.register()
  assert.equal(String((await s.condition('EndpointsNotFound'))['message']), 'cannot find endpointslices for service/api in "wardle"')
  const refused = await s.h.call('GET', FLUNDERS)
  assert.deepStrictEqual([refused.status, refused.text], [503, 'service unavailable\n'])
  assert.equal((await s.h.call('GET', '/openapi/v3/apis/wardle.example.com/v1alpha1')).status, 404)
  await endpoints(s)
  await s.condition('Passed')
  assert.match((await s.h.call('GET', '/metrics')).text, /^aggregator_unavailable_apiservice\{name="v1alpha1.wardle.example.com"\} 0$/m)
  assert.equal((await s.h.call('GET', FLUNDERS)).status, 200)
  s.cut()
  const cut = await s.h.call('GET', FLUNDERS)
  assert.deepStrictEqual([cut.status, cut.text], [503, 'error trying to reach service: EOF\n'])
  await s.h.call('DELETE', '/api/v1/namespaces/wardle/services/api')
  assert.equal(String((await s.condition('ServiceNotFound'))['message']), 'service/api in "wardle" is not present')
  assert.deepStrictEqual((await discovered(s, 'Stale'))['versions'], [{ version: 'v1alpha1', freshness: 'Stale' }])
  await s.h.call('DELETE', `${SERVICES}/v1alpha1.wardle.example.com`)
  assert.equal((await s.h.call('GET', FLUNDERS)).status, 404)
})

test('an APIService is an object like others: patched, its status written, deleted by label', async () => {
  const s = await stage()
  await endpoints(s)
  await s.register()
  await s.condition('Passed')
  const path = `${SERVICES}/v1alpha1.wardle.example.com`
  const merge = { 'content-type': 'application/merge-patch+json' }
  const patched = await s.h.call('PATCH', path, { spec: { versionPriority: 400 }, metadata: { labels: { e2e: 'x' } } }, merge)
  assert.deepStrictEqual([patched.status, patched.json['spec']?.['versionPriority']], [200, 400])
  const status = await s.h.call('PATCH', `${path}/status`, { status: { conditions: [{ type: 'StatusPatched', status: 'True', reason: 'E2E', message: 'Set by e2e test' }] } }, merge)
  assert.deepStrictEqual(items<Loose>(status.json['status']?.['conditions']).map((c) => String(c['type'])), ['StatusPatched'])
  const deadline = systemClock.monotonicMs() + 10_000
  for (;;) {
    const types = items<Loose>((await s.h.call('GET', `${path}/status`)).json['status']?.['conditions']).map((c) => String(c['type']))
    if (types.includes('Available')) {
      assert.deepStrictEqual(types, ['StatusPatched', 'Available'])
      break
    }
    assert.ok(systemClock.monotonicMs() < deadline)
    await systemClock.sleep(2)
  }
  assert.equal((await s.h.call('DELETE', `${SERVICES}?labelSelector=e2e%3Dx`)).status, 200)
  assert.deepStrictEqual([(await s.h.call('GET', path)).status, (await s.h.call('GET', FLUNDERS)).status, (await s.h.call('GET', `${SERVICES}/v1.apps`)).status], [404, 404, 200])
})

test('a server that does not answer as it should fails the discovery check', async () => {
  const s = await stage((_request, res) => { res.statusCode = 404; res.end() })
  await endpoints(s)
  await s.register()
  const url = 'https://api.wardle.svc:443/apis/wardle.example.com/v1alpha1'
  assert.equal(String((await s.condition('FailedDiscoveryCheck'))['message']), `failing or missing response from ${url}: bad status from ${url}: 404`)
})

test('its certificate is checked against the caBundle, unless that is not wanted', async () => {
  const s = await stage()
  await endpoints(s)
  await s.register({ caBundle: Buffer.from((await testAuthority('stranger')).pem).toString('base64') })
  await s.condition('Passed')
  assert.equal((await s.h.call('GET', FLUNDERS)).text, 'error trying to reach service: tls: failed to verify certificate: x509: certificate signed by unknown authority\n')
  await s.h.call('PATCH', `${SERVICES}/v1alpha1.wardle.example.com`, { spec: { caBundle: null, insecureSkipTLSVerify: true } }, { 'content-type': 'application/merge-patch+json' })
  assert.equal((await s.h.call('GET', FLUNDERS)).status, 200)
})

test('an upgrade is passed through with the user in its headers', async () => {
  const made = Promise.withResolvers<Served>()
  const s = await stage(flunders, async (nodeConnector) => {
    made.resolve(await served({ rows, clock: systemClock, nodeConnector }))
    return made.promise
  })
  const http = await made.promise
  open.push(http.http)
  let headers: Loose = {} as Loose
  s.backend.server.on('upgrade', (req, socket) => {
    headers = req.headers as unknown as Loose
    socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: Upgrade\r\n\r\n')
    socket.pipe(socket)
  })
  const admin = { 'content-type': 'application/json' }
  const ask = (method: string, path: string, body: unknown) => new Promise<number>((resolve, reject) => {
    const req = httpsRequest({ host: '127.0.0.1', port: http.port, ca: http.ca, ...http.admin, method, path, headers: admin, agent: false }, (res) => { res.resume(); resolve(res.statusCode ?? 0) })
    req.on('error', reject)
    const text = body === undefined ? '' : JSON.stringify(body)
    if (text !== '') req.setHeader('content-length', Buffer.byteLength(text))
    req.end(text)
  })
  assert.equal(await ask('POST', '/api/v1/namespaces', { metadata: { name: 'wardle' } }), 201)
  assert.equal(await ask('POST', '/api/v1/namespaces/wardle/services', { metadata: { name: 'api' }, spec: { clusterIP: 'None', ports: [{ name: 'https', port: 443 }] } }), 201)
  assert.equal(await ask('POST', SLICES, SLICE), 201)
  assert.equal(await ask('POST', SERVICES, { metadata: { name: 'v1alpha1.wardle.example.com' }, spec: { group: 'wardle.example.com', version: 'v1alpha1', groupPriorityMinimum: 2000, versionPriority: 200, service: { namespace: 'wardle', name: 'api' }, caBundle: s.backend.caBundle } }), 201)
  const deadline = systemClock.monotonicMs() + 10_000
  while (await ask('GET', FLUNDERS, undefined) !== 200) assert.ok(systemClock.monotonicMs() < deadline)
  const echoed = await new Promise<string>((resolve, reject) => {
    const req = httpsRequest({ host: '127.0.0.1', port: http.port, ca: http.ca, ...http.admin, path: `${FLUNDERS}/a/portforward/22/tcp?x=1`, headers: { upgrade: 'echo', connection: 'Upgrade' }, agent: false })
    req.on('upgrade', (_res, socket) => {
      socket.on('data', (chunk: Buffer) => { resolve(chunk.toString()); socket.destroy() })
      socket.write('hello')
    })
    req.on('response', (res) => reject(new Error(`answered ${res.statusCode}`)))
    req.on('error', reject)
    req.end()
  })
  assert.deepStrictEqual([echoed, headers['x-remote-user'], headers['upgrade']], ['hello', 'admin', 'echo'])
  // More than the API itself takes is passed on as it comes, over both protocols.
  const large = JSON.stringify({ data: 'x'.repeat(5 * 1024 * 1024) })
  assert.equal(await ask('POST', FLUNDERS, JSON.parse(large) as unknown), 201)
  const session = connectHttp2(`https://127.0.0.1:${http.port}`, { ca: http.ca, ...http.admin })
  const stream = session.request({ ':method': 'POST', ':path': FLUNDERS, 'content-type': 'application/json' })
  const status = new Promise<unknown>((resolve) => stream.on('response', (head) => resolve(head[':status'])))
  stream.resume().end(large)
  assert.equal(await status, 201)
  await new Promise<void>((resolve) => session.close(resolve))
  assert.deepStrictEqual(s.backend.received.filter((r) => r.method === 'POST').map((r) => [r.body.length, r.headers['content-length']]), [[large.length, String(large.length)], [large.length, undefined]])
  assert.equal(await ask('POST', '/api/v1/namespaces', { metadata: { name: 'large', annotations: { x: large } } }), 413)
})

test('group versions of custom resources come and go as APIServices', async () => {
  const s = await stage()
  const definition = { metadata: { name: 'tries.example.com' }, spec: { group: 'example.com', scope: 'Namespaced', names: { plural: 'tries', singular: 'try', kind: 'Try', listKind: 'TryList' }, versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }] } }
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  const eventually = async (status: number) => {
    const deadline = systemClock.monotonicMs() + 10_000
    for (;;) {
      const answer = await s.h.call('GET', `${SERVICES}/v1.example.com`)
      if (answer.status === status) return answer
      assert.ok(systemClock.monotonicMs() < deadline)
      await systemClock.sleep(2)
    }
  }
  assert.equal((await s.h.call('GET', `${SERVICES}/v1.example.com`)).status, 404)
  const made = await s.h.call('POST', path, definition)
  assert.equal(made.status, 201, made.text)
  const { json } = await eventually(200)
  assert.deepStrictEqual([json['spec'], json['metadata']?.['labels']], [{ group: 'example.com', version: 'v1', groupPriorityMinimum: 1000, versionPriority: 100 }, { 'kube-aggregator.kubernetes.io/automanaged': 'true' }])
  await s.h.call('DELETE', `${path}/tries.example.com`)
  await eventually(404)
})

test('groups are ranked by priority, versions by theirs and then by age', () => {
  const of = (group: string, version: string, g: number, v: number) => ({ group, version, priority: { group: g, version: v } })
  assert.deepStrictEqual(rankGroups([of('b', 'v1', 10, 1), of('a', 'v1beta1', 10, 5), of('a', 'v1', 10, 5), of('a', 'v2', 10, 5), of('a', 'odd', 10, 5), of('a', 'v1alpha1', 10, 9), of('z', 'v1', 20, 1)]).map(({ group, versions }) => [group, ...versions.map((v) => v.version)]), [
    ['z', 'v1'], ['a', 'v1alpha1', 'v2', 'v1', 'v1beta1', 'odd'], ['b', 'v1'],
  ])
})

test('own APIServices are made, mended and taken away only where they carry the label', () => {
  const stored = (name: string, mode: string | undefined, spec: object) => ({ metadata: { name, uid: name, ...(mode && { labels: { 'kube-aggregator.kubernetes.io/automanaged': mode } }) }, spec }) as never
  const found = [
    stored('v1.gone', 'true', {}), stored('v1.goneonstart', 'onstart', {}), stored('v1.foreign', undefined, { service: {} }), stored('v1.crd', 'true', { group: 'crd', version: 'v1', groupPriorityMinimum: 1, versionPriority: 1 }),
    stored('v1.apps', undefined, { group: 'apps', version: 'v1', service: { name: 'x' } }),
  ]
  const local = [{ group: 'crd', version: 'v1', isCustom: true }, { group: 'apps', version: 'v1', isCustom: false }, { group: 'batch', version: 'v1', isCustom: false }, { group: 'new', version: 'v1', isCustom: true }]
  const brief = (atStart: boolean) => decideRegistration(local, found, atStart).map((a) => `${a.kind} ${a.kind === 'delete' ? a.name : a.apiService.metadata?.name}`)
  assert.deepStrictEqual([brief(true), brief(false)], [
    ['update v1.crd', 'create v1.batch', 'create v1.new', 'delete v1.gone', 'delete v1.goneonstart'], ['update v1.crd', 'create v1.new', 'delete v1.gone'],
  ])
})

test('what can be told of a service without asking it', () => {
  const backend = { service: { namespace: 'ns', name: 's', port: 443 } } as Backend
  const service = (port: number, type = 'ClusterIP') => ({ spec: { type, ports: [{ name: 'https', port }] } })
  const slice = (ready: boolean | undefined, name = 'https') => ({ addressType: 'IPv4', endpoints: [{ addresses: ['1.2.3.4'], conditions: { ...(ready !== undefined && { ready }) } }], ports: [{ name, port: 1 }] })
  const reason = (...args: Parameters<typeof decideReachable> extends [unknown, ...infer R] ? R : never) => decideReachable(backend, ...args)?.reason
  assert.deepStrictEqual([reason(undefined, []), reason(service(80), []), reason(service(443), []), reason(service(443), [slice(false)]), reason(service(443), [slice(true, 'http')]), reason(service(443), [slice(undefined)]), reason(service(80, 'ExternalName'), [])],
    ['ServiceNotFound', 'ServicePortError', 'EndpointsNotFound', 'MissingEndpoints', 'MissingEndpoints', undefined, undefined])
  const at = (verdict: typeof PASSED, status?: APIService['status']) => nextStatus({ ...(status && { status }) }, verdict, 0)
  const passed = at(PASSED)
  assert.deepStrictEqual([passed?.conditions?.[0]?.lastTransitionTime, at(PASSED, passed), at({ ...PASSED, message: 'other' }, { conditions: [{ type: 'Available', status: 'True', lastTransitionTime: '2020-01-01T00:00:00Z' }] })?.conditions?.[0]?.lastTransitionTime], ['1970-01-01T00:00:00Z', undefined, '2020-01-01T00:00:00Z'])
})

test('an aggregated document is known by its content type', () => {
  const types = [AGGREGATED, 'application/json; as=APIGroupDiscoveryList; v="v2beta1"; g=apidiscovery.k8s.io; charset=utf-8', 'application/json', AGGREGATED.replace('v=v2', 'v=v3'), AGGREGATED.replace('application/json', 'application/yaml'), undefined]
  assert.deepStrictEqual(types.map(isAggregated), [true, true, false, false, false, false])
})

test('headers for another server and answers of it', () => {
  assert.deepStrictEqual(remoteHeaders({ name: 'jane', uid: '7', groups: ['a', 'b'], extra: { 'example.com/Some Key': ['x', 'y'] } }), { 'X-Remote-User': 'jane', 'X-Remote-Uid': '7', 'X-Remote-Group': ['a', 'b'], 'X-Remote-Extra-example.com%2FSome%20Key': ['x', 'y'] })
  assert.deepStrictEqual([parseResourceList('no json', 'g', 'v1'), parseResourceList('{"kind":"Status"}', 'g', 'v1'), parseResourceList('{"kind":"APIResourceList","resources":[null,{"name":"a/b"}]}', 'g', 'v1')], [undefined, undefined, []])
})
