import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { CM, configMap, harness, PODS, type Answer } from './app.test-support.ts'

const told = (a: Answer): string => `${a.status} ${String(a.json['reason'])}`

describe('bad input is the right 4xx, never a 500', () => {
  test('bodies that are no objects', async () => {
    const { call, logged } = harness()
    const raw = async (body: Buffer, type = 'application/json') => told(await call('POST', CM, body, { 'content-type': type }))
    assert.equal(await raw(Buffer.from('{"a":')), '400 BadRequest')
    assert.equal(await raw(Buffer.from('[]')), '400 BadRequest')
    // To Go's decoder an object of which nothing is told; of these kinds nothing is asked.
    assert.equal(await raw(Buffer.from('null')), '201 undefined')
    assert.equal(await raw(Buffer.alloc(0)), '400 BadRequest')
    assert.equal(await raw(Buffer.from('{"metadata":{"name":"\xff\xfe"}}', 'latin1')), '400 BadRequest')
    assert.equal(await raw(Buffer.from('['.repeat(10_000) + ']'.repeat(10_000))), '400 BadRequest')
    assert.equal(await raw(Buffer.from(`{"metadata":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`)), '400 BadRequest')
    assert.equal(await raw(Buffer.from('a: [b'), 'application/yaml'), '400 BadRequest')
    assert.equal(await raw(Buffer.from('x'), 'text/plain'), '415 UnsupportedMediaType')
    assert.equal(await raw(Buffer.from('{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}')), '400 BadRequest')
    assert.equal(await raw(Buffer.from('{"kind":"ConfigMap","apiVersion":"v2","metadata":{"name":"a"}}')), '400 BadRequest')
    assert.equal(await raw(Buffer.from('{"metadata":{"name":"a"},"data":{"k":1}}')), '400 BadRequest')
    assert.equal(await raw(Buffer.from('{"metadata":"a"}')), '400 BadRequest')
    assert.equal(await raw(Buffer.from('{"__proto__":{"x":1},"metadata":{"name":"proto"}}')), '201 undefined')
    assert.deepEqual(logged, [])
  })

  test('patches', async () => {
    const { call, logged } = harness()
    await call('POST', CM, configMap('a'))
    const patch = async (type: string, body: string) => told(await call('PATCH', `${CM}/a?fieldManager=m`, Buffer.from(body), { 'content-type': type }))
    assert.equal(await patch('application/json-patch+json', '{}'), '400 BadRequest')
    assert.equal(await patch('application/json-patch+json', '[{"op":"nope","path":"/x"}]'), '422 Invalid')
    assert.equal(await patch('application/merge-patch+json', '[]'), '400 BadRequest')
    assert.equal(await patch('application/merge-patch+json', '{"metadata":null}'), '400 BadRequest')
    assert.equal(await patch('application/merge-patch+json', '{"metadata":{"uid":"other"}}'), '422 Invalid')
    assert.equal(await patch('application/merge-patch+json', '{"metadata":{"name":"b"}}'), '400 BadRequest')
    assert.equal(await patch('application/merge-patch+json', '{"data":[1]}'), '422 Invalid')
    assert.equal(await patch('application/strategic-merge-patch+json', '{"$patch":"sideways"}'), '422 Invalid')
    assert.equal(await patch('application/apply-patch+yaml', 'kind: Pod'), '400 BadRequest')
    assert.equal(await patch('application/apply-patch+yaml', '- 1'), '400 BadRequest')
    assert.equal(await patch('application/apply-patch+yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: 7'), '400 BadRequest')
    assert.equal(await patch('application/apply-patch+yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nnope: 1'), '400 BadRequest')
    assert.equal(await patch('text/plain', '{}'), '415 UnsupportedMediaType')
    const nameless = await call('PUT', `${CM}/a`, { metadata: {} })
    assert.deepEqual([nameless.status, nameless.json['message']], [400, 'the name of the object (a based on URL) was undeterminable: name must be provided'])
    const applied = await call('PATCH', `${CM}/new?fieldManager=m`, Buffer.from('{apiVersion: v1, kind: ConfigMap}'), { 'content-type': 'application/apply-patch+yaml' })
    assert.deepEqual([applied.status, applied.json['message']], [400, 'the name of the object (new based on URL) was undeterminable: name must be provided'])
    assert.equal((await call('PATCH', `${CM}/a?fieldManager=m`, Buffer.from('{apiVersion: v1, kind: ConfigMap, data: {x: z}}'), { 'content-type': 'application/apply-patch+yaml' })).json['data']?.['x'], 'z')
    assert.deepEqual(logged, [])
  })

  test('who asks for YAML is refused in YAML', async () => {
    const { call } = harness()
    const refused = await call('GET', `${CM}/gone`, undefined, { accept: 'application/yaml' })
    assert.deepEqual([refused.status, refused.headers['content-type']], [404, 'application/yaml'])
    assert.match(refused.text, /^reason: NotFound$/m)
  })

  test('paths, methods and accepts', async () => {
    const { call, logged } = harness()
    await call('POST', CM, configMap('a'))
    const at = async (method: string, path: string, headers: Record<string, string> = {}) => told(await call(method, path, undefined, headers))
    assert.equal(await at('GET', '/api/v1/nopes'), '404 NotFound')
    assert.equal(await at('GET', '/apis/nope/v1/x'), '404 NotFound')
    assert.equal(await at('GET', '/apis/apps/v9/deployments'), '404 NotFound')
    assert.equal(await at('GET', '/nope'), '404 NotFound')
    assert.equal(await at('GET', '/api/v1/configmaps/a'), '404 NotFound')
    assert.equal(await at('GET', `${CM}/a/nope`), '404 NotFound')
    assert.equal(await at('GET', `${CM}/a/b/c/d`), '404 NotFound')
    assert.equal(await at('GET', `${CM}/%zz`), '400 BadRequest')
    assert.equal(await at('GET', `${CM}/%ff`), '400 BadRequest')
    assert.equal(await at('GET', `${CM}/..%2f..%2fsecrets`), '400 BadRequest')
    assert.equal(await at('PUT', CM), '405 MethodNotAllowed')
    assert.equal(await at('POST', `${CM}/a`), '405 MethodNotAllowed')
    assert.equal(await at('POST', '/api/v1/configmaps'), '405 MethodNotAllowed')
    assert.equal(await at('BREW', CM), '405 MethodNotAllowed')
    assert.equal(await at('HEAD', CM), '405 MethodNotAllowed')
    assert.equal(await at('HEAD', `${CM}/a`), '405 MethodNotAllowed')
    assert.equal(await at('POST', '/version'), '405 MethodNotAllowed')
    // What is not there has no methods.
    assert.equal(await at('POST', '/nope'), '404 NotFound')
    assert.equal(await at('PUT', '/apis/apps/v9/deployments'), '404 NotFound')
    assert.equal(await at('POST', '/api/v1/namespaces/default/bindings/a'), '404 NotFound')
    assert.equal(await at('GET', '/api/v1/bindings'), '404 NotFound')
    assert.equal(await at('POST', '/api/v2'), '404 NotFound')
    assert.equal(await at('POST', '/apis/apps'), '405 MethodNotAllowed')
    assert.equal(await at('OPTIONS', `${CM}/a/nope`), '404 NotFound')
    // A parameter with a semicolon is none.
    assert.equal((await call('GET', `${CM}?limit=x;watch=1`)).status, 200)
    assert.equal(await at('GET', `${CM}?limit=99999999999999999999`), '400 BadRequest')
    assert.equal(await at('GET', `${CM}/a`, { accept: 'text/html' }), '406 NotAcceptable')
    assert.equal(await at('GET', CM, { accept: 'application/json;as=Table;v=v9;g=meta.k8s.io' }), '406 NotAcceptable')
    assert.deepEqual(logged, [])
  })

  test('whatever bytes come in, the answer is a Status below 500 or a success', async () => {
    const { call, logged } = harness()
    await call('POST', PODS, { metadata: { name: 'p' }, spec: { containers: [] } })
    await fc.assert(fc.asyncProperty(
      fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE'),
      fc.constantFrom(PODS, `${PODS}/p`, `${PODS}/p/status`, `${PODS}/p/binding`, `${PODS}/p/eviction`, `${CM}/a`, '/apis/apps/v1/namespaces/default/deployments/x/scale'),
      fc.webQueryParameters(),
      fc.oneof(fc.uint8Array({ maxLength: 64 }).map((b) => Buffer.from(b)), fc.json().map((j) => Buffer.from(j)), fc.object().map((o) => Buffer.from(JSON.stringify({ ...o, metadata: o })))),
      fc.constantFrom('application/json', 'application/yaml', 'application/merge-patch+json', 'application/json-patch+json', 'application/strategic-merge-patch+json', 'application/apply-patch+yaml', 'application/vnd.kubernetes.protobuf'),
      async (method, path, query, body, type) => {
        const answer = await call(method, `${path}?${query}`, body, { 'content-type': type })
        assert.ok(answer.status < 500, `${method} ${path}?${query} ${type} ${body.toString()}: ${answer.text}`)
      },
    ), { numRuns: 400 })
    assert.deepEqual(logged, [])
  })

  test('an unexpected throw is a logged 500 and the next request is served', async () => {
    const { call, logged } = harness({ admission: [{ name: 'Broken', mutate: async () => { throw new TypeError('boom') } }] })
    const answer = await call('POST', CM, configMap('a'))
    assert.deepEqual([answer.status, answer.json['reason']], [500, 'InternalError'])
    assert.ok(!answer.text.includes('boom'))
    assert.match(logged.join(), /a request failed unexpectedly.*boom/)
    assert.equal((await call('GET', CM)).status, 200)
  })
})

describe('who may', () => {
  test('nobody without credentials gets more than health and version', async () => {
    const { call } = harness()
    const anonymous = { authorization: '' }
    const at = async (path: string, authorization: string) => (await call('GET', path, undefined, { ...anonymous, authorization })).status
    assert.deepEqual(await Promise.all(['/livez', '/version', '/readyz/ping', '/api', '/metrics', CM, '/'].map((p) => at(p, 'Bearer bad'))), [401, 401, 401, 401, 401, 401, 401])
    const { api } = harness()
    const bare = (path: string) => api.handle({ method: 'GET', path, headers: {}, signal: new AbortController().signal, peer: { remoteAddress: '' } })
    assert.deepEqual(await Promise.all(['/livez', '/readyz', '/healthz', '/version', '/version/', '/readyz/ping', CM, '/apis'].map(async (p) => (await bare(p)).status)), [200, 200, 200, 200, 200, 403, 403, 403])
    const { message, reason } = JSON.parse(((await bare('/apis')).body as Buffer).toString()) as { message: string; reason: string }
    assert.deepEqual([reason, message], ['Forbidden', 'forbidden: User "system:anonymous" cannot get path "/apis"'])
    const refused = await api.handle({ method: 'GET', path: CM, headers: {}, signal: new AbortController().signal, peer: { remoteAddress: '', certificateRefused: 'expired' } })
    assert.equal(refused.status, 401)
  })

  test('refusals name user, verb, resource and place', async () => {
    const { call } = harness()
    const weak = { authorization: 'Bearer weak' }
    const message = async (method: string, path: string) => String((await call(method, path, undefined, weak)).json['message'])
    assert.equal(await message('GET', CM), 'configmaps is forbidden: User "weak" cannot list resource "configmaps" in API group "" in the namespace "default"')
    assert.equal(await message('DELETE', '/apis/apps/v1/namespaces/x/deployments/d'), 'deployments.apps "d" is forbidden: User "weak" cannot delete resource "deployments" in API group "apps" in the namespace "x"')
    assert.equal(await message('GET', '/api/v1/namespaces/x'), 'namespaces "x" is forbidden: User "weak" cannot get resource "namespaces" in API group "" in the namespace "x"')
    assert.equal(await message('GET', '/api/v1/namespaces?fieldSelector=metadata.name%3Dx'), 'namespaces "x" is forbidden: User "weak" cannot list resource "namespaces" in API group "" at the cluster scope')
    assert.equal(await message('GET', '/api/v1/nodes/n/proxy/x'), 'nodes "n" is forbidden: User "weak" cannot get resource "nodes/proxy" in API group "" at the cluster scope')
    assert.equal(await message('OPTIONS', '/api/v1/nodes/n/proxy/x'), 'nodes "n" is forbidden: User "weak" cannot  resource "nodes/proxy" in API group "" at the cluster scope')
    assert.equal(await message('GET', '/metrics'), 'forbidden: User "weak" cannot get path "/metrics"')
    // Before it is told that there is no such method.
    assert.equal(await message('PUT', CM), 'configmaps is forbidden: User "weak" cannot update resource "configmaps" in API group "" in the namespace "default"')
    assert.equal(await message('PROPFIND', CM), 'configmaps is forbidden: User "weak" cannot  resource "configmaps" in API group "" in the namespace "default"')
  })

  test('a list by name is authorized for that name, with its selector', async () => {
    const asked: unknown[] = []
    const { call } = harness({ authorizer: { authorize: async (a) => { asked.push([a.verb, a.resource?.name, a.fieldSelector]); return { allowed: true, reason: '' } }, rulesFor: async () => ({ resourceRules: [], nonResourceRules: [], incomplete: false }) } })
    await call('GET', `${CM}?fieldSelector=metadata.name%3Dx`)
    await call('GET', `${PODS}?fieldSelector=spec.nodeName%3Dn`)
    assert.deepEqual(asked, [['list', 'x', 'metadata.name=x'], ['list', '', 'spec.nodeName=n']])
  })

  test('impersonation needs the right to it, and then is the other user', async () => {
    const { call } = harness()
    const self = { spec: { resourceAttributes: { verb: 'get', resource: 'pods' } } }
    const sar = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
    assert.deepEqual((await call('POST', sar, self)).json['status'], { allowed: true })
    assert.deepEqual((await call('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {}, { 'impersonate-user': 'jane', 'impersonate-group': 'dev\nsystem:masters' })).json['status'], { userInfo: { username: 'jane', groups: ['dev', 'system:masters', 'system:authenticated'] } })
    const no = await call('GET', CM, undefined, { authorization: 'Bearer weak', 'impersonate-user': 'admin' })
    assert.equal(no.json['message']?.toString(), 'configmaps is forbidden: User "weak" cannot impersonate-on:user-info:list resource "configmaps" in API group "" in the namespace "default"')
  })

  test('reviews are answered and not kept', async () => {
    const { call, store } = harness()
    const sar = await call('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', { spec: { user: 'x', groups: ['system:masters'], resourceAttributes: { verb: 'get', resource: 'pods' } } })
    assert.deepEqual([sar.status, sar.json['status']], [201, { allowed: true }])
    const wrong = await call('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', { spec: { user: 'x' } })
    assert.equal(wrong.status, 422)
    const token = await call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token: 'good' } })
    assert.deepEqual(token.json['status'], { authenticated: true, user: { username: 'admin', groups: ['system:masters', 'system:authenticated'] } })
    assert.equal((await call('GET', '/apis/authentication.k8s.io/v1/tokenreviews')).status, 405)
    assert.equal(store.revision(), 1)
  })
})
