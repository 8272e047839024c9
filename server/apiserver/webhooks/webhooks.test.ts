import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, test } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { harness, items, type Harness, type Loose } from '../app.test-support.ts'
import { rows } from '../registry.ts'
import { MERGE, NS, pod } from '../kinds/kinds.test-support.ts'
import { WebhookMetrics } from './webhook-metrics.ts'
import { httpsServer, type TestServer } from '../webhook-client/https-server.test-support.ts'

const CM = `${NS}/configmaps`
const MUTATING = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations'
const VALIDATING = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'
const open: { close(): unknown }[] = []
after(async () => { for (const one of open) await one.close() })

type Review = { request: Loose; uid: string }
type Say = (review: Review, path: string) => Record<string, unknown> | undefined

interface Stage { h: Harness; server: TestServer; reviews: { path: string; request: Loose }[]; asked: () => string[] }

/** A server with namespaces `default` (team=a) and `other`, and one webhook server that says what `say` says, or allows. */
async function stage(say: Say = () => ({}), over: Parameters<typeof harness>[0] = {}): Promise<Stage> {
  const reviews: Stage['reviews'] = []
  const server = await httpsServer(({ body, path }, res) => {
    const review = JSON.parse(body) as { apiVersion: string; request: Loose }
    const at = path.split('?')[0] ?? ''
    reviews.push({ path: at, request: review.request })
    const said = say({ request: review.request, uid: String(review.request['uid']) }, at)
    if (!said) return res.destroy()
    res.end(JSON.stringify({ kind: 'AdmissionReview', apiVersion: review.apiVersion, response: { uid: review.request['uid'], allowed: true, ...said } }))
  })
  const h = harness({ rows, clock: systemClock, ...over })
  open.push(server, h.api)
  for (const [name, labels] of [['default', { team: 'a' }], ['other', {}]] as const) await h.call('POST', '/api/v1/namespaces', { metadata: { name, labels } })
  return { h, server, reviews, asked: () => reviews.splice(0).map((r) => `${r.path} ${String(r.request['operation'])} ${String(r.request['resource']?.['resource'])}${r.request['subResource'] ? `/${String(r.request['subResource'])}` : ''} ${String(r.request['name'] ?? '')}`.trim()) }
}

const RULE = { operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }

type HookJson = Record<string, unknown> & { path?: string; clientConfig?: object }

async function register(s: Stage, path: string, name: string, ...hooks: HookJson[]): Promise<void> {
  const webhooks = hooks.map((hook, i) => ({
    name: `h${i}.${name}.io`, rules: [RULE], sideEffects: 'None', admissionReviewVersions: ['v1'], ...hook,
    clientConfig: { url: `https://127.0.0.1:${s.server.port}/${hook.path ?? `${name}${i}`}`, caBundle: s.server.caBundle, ...hook.clientConfig }, path: undefined,
  }))
  const answer = await s.h.call('POST', path, { metadata: { name }, webhooks })
  assert.equal(answer.status, 201, answer.text)
}

const patchOf = (...operations: object[]) => ({ patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(operations)).toString('base64') })
const message = (answer: { status: number; json: Loose }) => `${answer.status} ${String(answer.json['message'])}`
const configMap = (name: string, over: Record<string, unknown> = {}) => ({ metadata: { name }, data: { k: 'v' }, ...over })

test('a validating webhook gets the whole review and refuses with its own words', async () => {
  const s = await stage(({ request }) => (request['object']?.['data']?.['bad'] ? { allowed: false, status: { code: 403, reason: 'Forbidden', message: 'no bad data' } } : {}))
  await register(s, VALIDATING, 'deny', {})
  const refused = await s.h.call('POST', `${CM}?fieldManager=me`, configMap('a', { data: { bad: '1' } }))
  assert.deepStrictEqual([refused.status, refused.json['reason'], refused.json['message']], [403, 'Forbidden', 'admission webhook "h0.deny.io" denied the request: no bad data'])
  const [review] = s.reviews
  assert.ok(review)
  const { object, uid, ...rest } = review.request as Loose & { object: Loose }
  assert.match(String(uid), /^[0-9a-f-]{36}$/)
  assert.deepStrictEqual([object['kind'], object['metadata']?.['name'], object['data']], ['ConfigMap', 'a', { bad: '1' }])
  assert.deepStrictEqual(rest, {
    kind: { group: '', version: 'v1', kind: 'ConfigMap' }, resource: { group: '', version: 'v1', resource: 'configmaps' },
    requestKind: { group: '', version: 'v1', kind: 'ConfigMap' }, requestResource: { group: '', version: 'v1', resource: 'configmaps' },
    name: 'a', namespace: 'default', operation: 'CREATE', userInfo: { username: 'admin', groups: ['system:masters', 'system:authenticated'] }, oldObject: null, dryRun: false,
    options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1', fieldManager: 'me' },
  })
})

test('updates and deletions come with the old object; without words of its own a refusal is 400', async () => {
  const s = await stage(({ request }) => (String(request['operation']) === 'DELETE' ? { allowed: false } : String(request['operation']) === 'UPDATE' ? { allowed: false, status: { reason: 'BecauseISaySo' } } : {}))
  await register(s, VALIDATING, 'deny', {})
  await s.h.call('POST', CM, configMap('a'))
  assert.deepStrictEqual([message(await s.h.call('PATCH', `${CM}/a`, { data: { k: 'w' } }, MERGE)), message(await s.h.call('DELETE', `${CM}/a`))], [
    '400 admission webhook "h0.deny.io" denied the request: BecauseISaySo', '400 admission webhook "h0.deny.io" denied the request without explanation',
  ])
  const [, updated, deleted] = s.reviews.map((r) => [r.request['object']?.['data'] ?? null, r.request['oldObject']?.['data'] ?? null])
  assert.deepStrictEqual([updated, deleted], [[{ k: 'w' }, { k: 'v' }], [null, { k: 'v' }]])
})

test('mutating webhooks change the object in order of their configurations\' names, with defaults after each', async () => {
  const s = await stage((_review, path) => patchOf({ op: 'add', path: `/data/${path.slice(1)}`, value: 'x' }, { op: 'add', path: '/metadata/labels', value: { last: path.slice(1) } }))
  await register(s, MUTATING, 'b-second', {})
  await register(s, MUTATING, 'a-first', {}, {})
  const { json } = await s.h.call('POST', CM, configMap('a'))
  assert.deepStrictEqual([s.asked(), json['data'], json['metadata']?.['labels']], [['/a-first0 CREATE configmaps a', '/a-first1 CREATE configmaps a', '/b-second0 CREATE configmaps a'], { k: 'v', 'a-first0': 'x', 'a-first1': 'x', 'b-second0': 'x' }, { last: 'b-second0' }])

  const t = await stage(() => patchOf({ op: 'add', path: '/spec/initContainers', value: [{ name: 'i', image: 'busybox' }] }))
  await register(t, MUTATING, 'inject', { rules: [{ ...RULE, resources: ['pods'] }] })
  const made = await t.h.call('POST', `${NS}/pods`, pod())
  const [injected] = items<Record<string, unknown>>(made.json['spec']?.['initContainers'])
  assert.deepStrictEqual([injected?.['name'], injected?.['terminationMessagePath'], injected?.['imagePullPolicy']], ['i', '/dev/termination-log', 'Always'])
})

test('a webhook that may be asked again is, when another changed the object after it', async () => {
  const s = await stage((_review, path) => (path === '/z' ? patchOf({ op: 'add', path: '/data/z', value: '1' }) : {}))
  await register(s, MUTATING, 'a', { path: 'if-needed', reinvocationPolicy: 'IfNeeded' }, { path: 'never' }, { path: 'z' }, { path: 'after', reinvocationPolicy: 'IfNeeded' })
  await s.h.call('POST', CM, configMap('a'))
  assert.deepStrictEqual(s.asked(), ['/if-needed CREATE configmaps a', '/never CREATE configmaps a', '/z CREATE configmaps a', '/after CREATE configmaps a', '/if-needed CREATE configmaps a'])
  await s.h.call('PATCH', `${CM}/a`, { data: { y: '2' } }, MERGE)
  assert.deepStrictEqual(s.asked(), ['/if-needed UPDATE configmaps a', '/never UPDATE configmaps a', '/z UPDATE configmaps a', '/after UPDATE configmaps a'], 'nobody changed anything: no second round')
})

test('rules, scopes and selectors choose what a webhook is asked about', async () => {
  const s = await stage()
  await register(s, VALIDATING, 'v', { path: 'updates', rules: [{ ...RULE, operations: ['UPDATE'] }] }, { path: 'cluster', rules: [{ ...RULE, resources: ['*'], scope: 'Cluster' }] }, { path: 'all', rules: [{ ...RULE, apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'], operations: ['CREATE'] }] })
  await register(s, VALIDATING, 'w', { path: 'team', namespaceSelector: { matchLabels: { team: 'a' } } }, { path: 'labelled', objectSelector: { matchExpressions: [{ key: 'pick', operator: 'Exists' }] } })
  await s.h.call('POST', CM, configMap('a'))
  assert.deepStrictEqual(s.asked().sort(), ['/all CREATE configmaps a', '/team CREATE configmaps a'])
  await s.h.call('POST', '/api/v1/namespaces/other/configmaps', configMap('a', { metadata: { name: 'a', labels: { pick: '' } } }))
  assert.deepStrictEqual(s.asked().sort(), ['/all CREATE configmaps a', '/labelled CREATE configmaps a'])
  // The label goes: the old object still has it.
  await s.h.call('PATCH', '/api/v1/namespaces/other/configmaps/a', { metadata: { labels: null } }, MERGE)
  assert.deepStrictEqual(s.asked().sort(), ['/labelled UPDATE configmaps a', '/updates UPDATE configmaps a'])
  await s.h.call('POST', '/api/v1/namespaces', { metadata: { name: 'third', labels: { team: 'a' } } })
  assert.deepStrictEqual(s.asked().sort(), ['/all CREATE namespaces third', '/cluster CREATE namespaces third'])
  await s.h.call('PATCH', '/api/v1/namespaces/third/status', { metadata: { labels: { x: 'y' } } }, MERGE)
  assert.deepStrictEqual(s.asked(), [], 'a subresource is not the resource')
})

test('a generated name is not known to mutating webhooks, but to validating ones', async () => {
  const s = await stage()
  await register(s, MUTATING, 'm', {})
  await register(s, VALIDATING, 'v', {})
  const { json } = await s.h.call('POST', CM, { metadata: { generateName: 'g-' } })
  assert.deepStrictEqual(s.asked(), ['/m0 CREATE configmaps', `/v0 CREATE configmaps ${String(json['metadata']?.['name'])}`])
})

test('matchPolicy Equivalent: a webhook for one version hears of the other, in its own', async () => {
  const rule = { operations: ['*'], apiGroups: ['autoscaling'], apiVersions: ['v2'], resources: ['horizontalpodautoscalers'] }
  const s = await stage((_review, path) => (path === '/equivalent' ? patchOf({ op: 'replace', path: '/spec/metrics/0/resource/target/averageUtilization', value: 55 }) : {}))
  await register(s, MUTATING, 'm', { path: 'equivalent', rules: [rule] }, { path: 'exact', rules: [rule], matchPolicy: 'Exact' })
  const hpa = { metadata: { name: 'a' }, spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' }, maxReplicas: 3, targetCPUUtilizationPercentage: 70 } }
  const made = await s.h.call('POST', '/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers', hpa)
  assert.deepStrictEqual([made.status, made.json['spec']?.['targetCPUUtilizationPercentage'], s.reviews.length], [201, 55, 1])
  const request = s.reviews[0]?.request
  assert.deepStrictEqual([request?.['kind'], request?.['requestKind'], request?.['requestResource']?.['version'], request?.['object']?.['apiVersion']], [
    { group: 'autoscaling', version: 'v2', kind: 'HorizontalPodAutoscaler' }, { group: 'autoscaling', version: 'v1', kind: 'HorizontalPodAutoscaler' }, 'v1', 'autoscaling/v2',
  ])
})

test('custom resources go through webhooks like every other kind, in the version the webhook asked for', async () => {
  const s = await stage(({ request }, path) => (path === '/mutate' ? patchOf({ op: 'add', path: '/spec', value: { size: 7, strange: true } }) : path === '/deny' && String(request['object']?.['spec']?.['size']) === '9' ? { allowed: false } : {}))
  const schema = { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: { size: { type: 'integer' }, colour: { type: 'string', default: 'red' } } } } } }
  const version = (name: string, storage: boolean) => ({ name, served: true, storage, schema })
  const crd = await s.h.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { metadata: { name: 'tries.example.com' }, spec: { group: 'example.com', scope: 'Namespaced', names: { plural: 'tries', singular: 'try', kind: 'Try', listKind: 'TryList' }, versions: [version('v1', true), version('v2', false)] } })
  assert.equal(crd.status, 201, crd.text)
  const rule = { operations: ['CREATE'], apiGroups: ['example.com'], apiVersions: ['v2'], resources: ['tries'] }
  await register(s, MUTATING, 'm', { path: 'mutate', rules: [rule] })
  await register(s, VALIDATING, 'v', { path: 'deny', rules: [{ ...rule, apiVersions: ['*'] }] })
  const made = await s.h.call('POST', '/apis/example.com/v1/namespaces/default/tries', { apiVersion: 'example.com/v1', kind: 'Try', metadata: { name: 'a' }, spec: { size: 1 } })
  assert.deepStrictEqual([made.status, made.json['apiVersion'], made.json['spec']], [201, 'example.com/v1', { size: 7, colour: 'red' }], made.text)
  assert.deepStrictEqual(s.reviews.map((r) => [r.path, r.request['object']?.['apiVersion'], r.request['requestKind']?.['version']]), [['/mutate', 'example.com/v2', 'v1'], ['/deny', 'example.com/v1', 'v1']])
  await s.h.call('DELETE', `${MUTATING}/m`)
  assert.equal((await s.h.call('POST', '/apis/example.com/v2/namespaces/default/tries', { apiVersion: 'example.com/v2', kind: 'Try', metadata: { name: 'b' }, spec: { size: 9 } })).status, 400)
})

test('what is asked and not kept, and what is done to pods, go through webhooks, too', async () => {
  const s = await stage(() => ({ allowed: false }))
  await register(s, VALIDATING, 'v', { rules: [{ operations: ['CREATE'], apiGroups: ['authorization.k8s.io'], apiVersions: ['*'], resources: ['*'] }] }, { rules: [{ operations: ['CONNECT'], apiGroups: [''], apiVersions: ['*'], resources: ['pods/proxy'] }] })
  const review = await s.h.call('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', { spec: { resourceAttributes: { verb: 'get', resource: 'pods' } } })
  const connection = await s.h.call('GET', `${NS}/pods/p/proxy/some/path`)
  assert.deepStrictEqual([message(review), message(connection)], ['400 admission webhook "h0.v.io" denied the request without explanation', '400 admission webhook "h1.v.io" denied the request without explanation'])
  const { kind, object, options, subResource } = s.reviews[1]?.request ?? ({} as Loose)
  assert.deepStrictEqual([kind, object, options, subResource], [{ group: '', version: 'v1', kind: 'PodProxyOptions' }, { kind: 'PodProxyOptions', apiVersion: 'v1', path: '/some/path' }, null, 'proxy'])
})

test('managedFields that a webhook spoiled are as before, with a warning', async () => {
  const s = await stage(() => patchOf({ op: 'replace', path: '/metadata/managedFields/0/fieldsV1', value: { junk: 1 } }, { op: 'add', path: '/data/b', value: 'c' }))
  await register(s, MUTATING, 'm', {})
  const { json, headers } = await s.h.call('POST', CM, configMap('a'))
  const [entry] = items<Loose>(json['metadata']?.['managedFields'])
  assert.deepStrictEqual([json['data'], entry?.['fieldsV1']], [{ k: 'v', b: 'c' }, { 'f:data': { '.': {}, 'f:k': {} } }])
  assert.match(headers['warning'] ?? '', /managedFields was in an invalid state after admission/)
})

test('an entry of managedFields that lacks what each must have is spoiled, too, and told in upstream\'s words', async () => {
  for (const [path, words] of [['apiVersion', 'apiVersion must not be empty'], ['fieldsType', 'missing fieldsType in managed fields entry 0'], ['operation', 'operation must be `Apply` or `Update`']] as const) {
    const s = await stage(() => patchOf({ op: 'remove', path: `/metadata/managedFields/0/${path}` }))
    await register(s, MUTATING, 'm', {})
    const { json, headers } = await s.h.call('POST', CM, configMap('a'))
    const [entry] = items<Loose>(json['metadata']?.['managedFields'])
    assert.deepStrictEqual([entry?.['apiVersion'], entry?.['fieldsType'], entry?.['operation']], ['v1', 'FieldsV1', 'Update'])
    assert.ok((headers['warning'] ?? '').includes(`please fix your requests: ${words}`))
  }
})

test('webhooks are told who asks, where the server has been given something to say', async () => {
  const asked: [string, number][] = []
  const identity = { bearer: 'secret' }
  const s = await stage(() => ({}), { webhookIdentities: { mutating: (host, port) => { asked.push([host, port]); return identity } } })
  await register(s, MUTATING, 'm', {}, { clientConfig: { url: undefined, service: { namespace: 'ns', name: 'svc', port: 8443 } }, failurePolicy: 'Ignore' })
  await register(s, VALIDATING, 'v', {})
  assert.equal((await s.h.call('POST', CM, configMap('a'))).status, 201)
  assert.deepStrictEqual([asked, s.server.received.map((r) => r.headers.authorization)], [[['127.0.0.1', s.server.port], ['svc.ns.svc', 8443]], ['Bearer secret', undefined]])
})

test('a webhook that fails refuses or is passed over, as its failurePolicy says', async () => {
  const s = await stage(() => undefined)
  await register(s, VALIDATING, 'open', { failurePolicy: 'Ignore' })
  assert.equal((await s.h.call('POST', CM, configMap('a'))).status, 201)
  await register(s, VALIDATING, 'shut', {}, { clientConfig: { url: 'https://127.0.0.1:1/x' } })
  const refused = await s.h.call('POST', CM, configMap('b'))
  assert.deepStrictEqual([message(refused), refused.json['reason']], [`500 Internal error occurred: failed calling webhook "h0.shut.io": failed to call webhook: Post "https://127.0.0.1:${s.server.port}/shut0?timeout=10s": EOF`, 'InternalError'])
  await s.h.call('DELETE', `${VALIDATING}/shut`)
  await register(s, MUTATING, 'far', { clientConfig: { url: undefined, service: { namespace: 'nowhere', name: 'far' } } })
  assert.equal(message(await s.h.call('POST', CM, configMap('b'))), '500 Internal error occurred: failed calling webhook "h0.far.io": failed to call webhook: Post "https://far.nowhere.svc:443/?timeout=10s": service "far" not found')
})

test('a webhook is told its own time, or what is left of the request\'s', async () => {
  const s = await stage(() => undefined)
  await register(s, VALIDATING, 'a', { failurePolicy: 'Ignore' }, { failurePolicy: 'Ignore', timeoutSeconds: 2 })
  for (const query of ['', '?timeout=5s', '?timeout=1s']) assert.equal((await s.h.call('POST', `${CM}${query}`, configMap(`a${query.length}${query.slice(9, 10)}`))).status, 201)
  const told = s.server.received.map(({ path }) => path.replace(/^.*\?/, ''))
  assert.deepStrictEqual(told.sort(), ['timeout=10s', 'timeout=1s', 'timeout=1s', 'timeout=2s', 'timeout=2s', 'timeout=5s'])
})

test('a request that runs out of time does not go on without its webhooks, whatever their failurePolicy', async () => {
  const s = await stage()
  await register(s, MUTATING, 'slow', { failurePolicy: 'Ignore' }, { failurePolicy: 'Ignore' })
  const asked: string[] = []
  const givenUp = Promise.withResolvers<void>()
  s.server.server.removeAllListeners('request').on('request', ({ url = '' }: IncomingMessage, res: ServerResponse) => {
    asked.push(url)
    res.on('close', () => givenUp.resolve())
  })
  const refused = await s.h.call('POST', `${CM}?timeout=200ms`, configMap('late'))
  assert.deepStrictEqual([refused.status, refused.json['reason']], [504, 'Timeout'])
  await givenUp.promise
  await s.h.call('DELETE', `${MUTATING}/slow`)
  assert.deepStrictEqual([asked, (await s.h.call('GET', `${CM}/late`)).status], [['/slow0?timeout=1s'], 404])
})

test('answers that break the contract are failures', async () => {
  const results: string[] = []
  const deep = Buffer.from(`[{"op":"add","path":"/data/x","value":${'['.repeat(100_000)}${']'.repeat(100_000)}}]`).toString('base64')
  const tooDeep = await stage(() => ({ patchType: 'JSONPatch', patch: deep }))
  await register(tooDeep, MUTATING, 'x', {})
  assert.match(message(await tooDeep.h.call('POST', CM, configMap('a'))), /^500 Internal error occurred: failed calling webhook "h0.x.io": received undecodable patch in webhook response: /)
  const lenient = await stage(() => ({ patchType: 'JSONPatch', patch: Buffer.from('nope').toString('base64') }))
  await register(lenient, MUTATING, 'x', { failurePolicy: 'Ignore' })
  assert.equal((await lenient.h.call('POST', CM, configMap('a'))).status, 201)
  for (const [path, said] of [[VALIDATING, { uid: 'other' }], [VALIDATING, patchOf()], [MUTATING, { patch: 'W10=' }], [MUTATING, { patchType: 'JSONPatch' }], [MUTATING, { ...patchOf({ op: 'remove', path: '/nothing' }) }], [MUTATING, { ...patchOf({ op: 'add', path: '/data', value: 'text' }) }]] as const) {
    const s = await stage(() => said)
    await register(s, path, 'x', {})
    results.push(message(await s.h.call('POST', CM, configMap('a'))))
  }
  assert.match(results.shift() ?? '', /^500 Internal error occurred: failed calling webhook "h0.x.io": received invalid webhook response: expected response.uid="[0-9a-f-]{36}", got "other"$/)
  assert.deepStrictEqual(results.slice(0, 3), [
    'validating webhook may not return response.patch', 'webhook returned response.patch but not response.patchType', 'webhook returned response.patchType but not response.patch',
  ].map((text) => `500 Internal error occurred: failed calling webhook "h0.x.io": received invalid webhook response: ${text}`))
  assert.match(results[3] ?? '', /^500 Internal error occurred: remove operation/)
  assert.match(results[4] ?? '', /^500 Internal error occurred: /)
})

test('a deletion cannot be patched', async () => {
  const s = await stage(({ request }) => (String(request['operation']) === 'DELETE' ? patchOf({ op: 'add', path: '/data', value: {} }) : {}))
  await register(s, MUTATING, 'm', {})
  await s.h.call('POST', CM, configMap('a'))
  assert.equal(message(await s.h.call('DELETE', `${CM}/a`)), '500 Internal error occurred: admission webhook "h0.m.io" attempted to modify the object, which is not supported for this operation')
})

test('a dry run goes only to webhooks without side effects', async () => {
  const s = await stage()
  await register(s, VALIDATING, 'v', { sideEffects: 'NoneOnDryRun' })
  assert.deepStrictEqual([(await s.h.call('POST', `${CM}?dryRun=All`, configMap('a'))).status, s.reviews[0]?.request['dryRun']], [201, true])
})

test('warnings reach the client; webhook configurations and bindings are no webhook\'s affair', async () => {
  const s = await stage(() => ({ warnings: ['take care'], auditAnnotations: { seen: 'yes' } }))
  await register(s, VALIDATING, 'v', { rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'] }] })
  const { headers } = await s.h.call('POST', CM, configMap('a'))
  assert.equal(headers['warning'], '299 - "take care"')
  s.asked()
  await register(s, MUTATING, 'm', {})
  await s.h.call('DELETE', `${VALIDATING}/v`)
  assert.deepStrictEqual(s.asked(), [])
})

test('a configuration counts from the write on, and ends with it', async () => {
  const s = await stage(() => ({ allowed: false }))
  assert.equal((await s.h.call('POST', CM, configMap('a'))).status, 201)
  await register(s, VALIDATING, 'v', {})
  assert.equal((await s.h.call('POST', CM, configMap('b'))).status, 400)
  await s.h.call('PATCH', `${VALIDATING}/v`, [{ op: 'replace', path: '/webhooks/0/rules/0/operations', value: ['UPDATE'] }], { 'content-type': 'application/json-patch+json' })
  assert.equal((await s.h.call('POST', CM, configMap('b'))).status, 201)
  await s.h.call('DELETE', `${VALIDATING}/v`)
  assert.equal((await s.h.call('PATCH', `${CM}/b`, { data: { x: 'y' } }, MERGE)).status, 200)
})

test('match conditions are asked before the webhook is', async () => {
  const s = await stage()
  const conditions = (...expressions: string[]) => expressions.map((expression, i) => ({ name: `c${i}`, expression }))
  await register(s, VALIDATING, 'v', { path: 'named', matchConditions: conditions('object.metadata.name.startsWith("a")', 'request.operation == "CREATE"') }, { path: 'admins', matchConditions: conditions('authorizer.group("").resource("pods").check("get").allowed()', '"system:masters" in request.userInfo.groups') },
    { path: 'cheap', failurePolicy: 'Ignore', matchConditions: conditions('object.data.missing == "x"') })
  for (const name of ['a', 'b']) assert.equal((await s.h.call('POST', CM, configMap(name))).status, 201)
  assert.deepStrictEqual(s.asked().sort(), ['/admins CREATE configmaps a', '/admins CREATE configmaps b', '/named CREATE configmaps a'])
  await register(s, VALIDATING, 'w', { matchConditions: conditions('object.data.missing == "x"') }, { matchConditions: conditions('object.data.missing == "x"', 'false') })
  assert.equal(message(await s.h.call('POST', CM, configMap('c'))), `403 configmaps "c" is forbidden: expression 'object.data.missing == "x"' resulted in error: no such key: missing`)
})

test('calls are counted under upstream\'s names', () => {
  const metrics = new WebhookMetrics()
  metrics.called('a.b.c', 'admit', 'CREATE', { kind: 'allowed', failsOpen: false, code: 200 }, 0.02)
  metrics.called('a.b.c', 'validating', 'UPDATE', { kind: 'rejected', failsOpen: false, code: 403 }, 0.02)
  metrics.called('a.b.c', 'validating', 'UPDATE', { kind: 'failed', failsOpen: true, code: 500 }, 3)
  const lines = metrics.all.flatMap((m) => [...m.lines()]).filter((line) => !line.startsWith('#') && !line.includes('_seconds'))
  assert.deepStrictEqual(lines, [
    'apiserver_admission_webhook_request_total{code="200",name="a.b.c",operation="CREATE",rejected="false",type="admit"} 1',
    'apiserver_admission_webhook_request_total{code="403",name="a.b.c",operation="UPDATE",rejected="true",type="validating"} 1',
    'apiserver_admission_webhook_request_total{code="500",name="a.b.c",operation="UPDATE",rejected="false",type="validating"} 1',
    'apiserver_admission_webhook_rejection_count{error_type="no_error",name="a.b.c",operation="UPDATE",rejection_code="403",type="validating"} 1',
    'apiserver_admission_webhook_fail_open_count{name="a.b.c",type="validating"} 1',
  ])
})

test('AdmissionReview v1beta1 for those who know nothing else', async () => {
  const s = await stage(() => ({ uid: 'whatever', patch: patchOf({ op: 'add', path: '/data/b', value: '1' }).patch }))
  await register(s, MUTATING, 'm', { admissionReviewVersions: ['v0', 'v1beta1'] })
  assert.deepStrictEqual((await s.h.call('POST', CM, configMap('a'))).json['data'], { k: 'v', b: '1' })
})
