/** What upstream's conformance tests ask of some kinds beyond test/conformance/operations.test.ts: scale, budgets, priorities, what may not change, reviews, finalizers. */
import { deepStrictEqual, match } from 'node:assert'
import { describe, test } from 'node:test'
import { items } from '#server/apiserver/app.test-support.ts'
import { MERGE } from '#server/apiserver/kinds/kinds.test-support.ts'
import { good, prepared } from './server.ts'

const NS = '/api/v1/namespaces/default'
const APPS = '/apis/apps/v1/namespaces/default'
const labels = { app: 'e2e' }
const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'registry.k8s.io/pause:3.10' }] } }
const selector = { matchLabels: labels }

describe('scale', () => {
  const SCALED: [path: string, spec: object][] = [
    [`${APPS}/deployments`, { selector, template }], [`${APPS}/replicasets`, { selector, template }],
    [`${APPS}/statefulsets`, { serviceName: 's', selector, template }], [`${NS}/replicationcontrollers`, { selector: labels, template }],
  ]
  for (const [path, spec] of SCALED) {
    test(`${path}: is read, replaced and patched, and the object follows`, async () => {
      const { call } = await prepared()
      const scale = `${path}/x/scale`
      await good(call('POST', path, { metadata: { name: 'x' }, spec: { ...spec, replicas: 1 } }), 201)
      const { json } = await good(call('GET', scale))
      deepStrictEqual([json['kind'], json['apiVersion'], json['spec'], json['status']?.['selector']], ['Scale', 'autoscaling/v1', { replicas: 1 }, 'app=e2e'])
      const put = await good(call('PUT', scale, { ...json, spec: { replicas: 2 } }))
      const patched = await good(call('PATCH', scale, { spec: { replicas: 4 } }, MERGE))
      deepStrictEqual([put.json['spec'], patched.json['spec'], (await good(call('GET', `${path}/x`))).json['spec']?.['replicas']], [{ replicas: 2 }, { replicas: 4 }, 4])
    })
  }
})

describe('what may not change', () => {
  const FIXED: [what: string, path: string, object: object, change: object, says: RegExp][] = [
    ['the value of a priority class', '/apis/scheduling.k8s.io/v1/priorityclasses', { value: 1 }, { value: 3 }, /value: Forbidden: may not be changed in an update\./],
    ['a ConfigMap that is immutable', `${NS}/configmaps`, { immutable: true, data: { k: 'v' } }, { data: { k: 'w' } }, /data: Forbidden: field is immutable when `immutable` is set/],
    ['that it is', `${NS}/secrets`, { immutable: true, stringData: { k: 'v' } }, { immutable: false }, /immutable: Forbidden: field is immutable when `immutable` is set/],
    ['what a revision holds', `${APPS}/controllerrevisions`, { revision: 1, data: { a: 1 } }, { data: { a: 2 } }, /data: Invalid value: .*field is immutable/],
    ['the selector of a Deployment', `${APPS}/deployments`, { spec: { selector, template } }, { spec: { selector: { matchLabels: { app: 'e2e', other: 'x' } }, template: { metadata: { labels: { other: 'x' } } } } }, /spec\.selector: Invalid value: .*field is immutable/],
    ['the parameters of a storage class', '/apis/storage.k8s.io/v1/storageclasses', { provisioner: 'a.b/c', parameters: { a: 'b' } }, { parameters: { a: 'c' } }, /parameters: Invalid value: .*field is immutable/],
    ['the network of a ServiceCIDR', '/apis/networking.k8s.io/v1/servicecidrs', { spec: { cidrs: ['10.7.0.0/24'] } }, { spec: { cidrs: ['10.8.0.0/24'] } }, /spec\.cidrs.*Invalid value: /],
    ['a pod\'s node', `${NS}/pods`, { spec: { ...template.spec, nodeName: 'a' } }, { spec: { nodeName: 'b' } }, /spec: Forbidden: pod updates may not change fields other than/],
  ]
  for (const [what, path, object, change, says] of FIXED) {
    test(what, async () => {
      const { call } = await prepared()
      await good(call('POST', path, { metadata: { name: 'x' }, ...object }), 201)
      const { status, json } = await call('PATCH', `${path}/x`, change, MERGE)
      deepStrictEqual(status, 422, JSON.stringify(json))
      match(String(json['message']), says)
    })
  }
})

test('a budget is patched and so is its status, which eviction reads', async () => {
  const { call } = await prepared()
  const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets'
  await good(call('POST', `${NS}/pods`, { metadata: { name: 'p', labels }, spec: template.spec }), 201)
  await good(call('PATCH', `${NS}/pods/p/status`, { status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } }, MERGE))
  await good(call('POST', budgets, { metadata: { name: 'b' }, spec: { minAvailable: 2, selector } }), 201)
  const evict = async () => { const { status, json } = await call('POST', `${NS}/pods/p/eviction`, { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' } }); return [status, json['details']?.['causes']] }
  await good(call('PATCH', `${budgets}/b/status`, { status: { observedGeneration: 1, disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 2, expectedPods: 1 } }, MERGE))
  deepStrictEqual(await evict(), [429, [{ reason: 'DisruptionBudget', message: 'The disruption budget b needs 2 healthy pods and has 1 currently' }]])
  await good(call('PATCH', `${budgets}/b`, { spec: { minAvailable: '1%' } }, MERGE))
  await good(call('PATCH', `${budgets}/b/status`, { status: { observedGeneration: 2, disruptionsAllowed: 1, currentHealthy: 1, desiredHealthy: 0 } }, MERGE))
  deepStrictEqual((await evict())[0], 201)
  const { json } = await good(call('GET', `${budgets}/b/status`))
  deepStrictEqual([json['status']?.['disruptionsAllowed'], Object.keys(json['status']?.['disruptedPods'] ?? {})], [0, ['p']])
})

test('a namespace gets a finalizer at /finalize alone, and stays until it is taken away', async () => {
  const { call } = await prepared()
  await good(call('POST', '/api/v1/namespaces', { metadata: { name: 'held' } }), 201)
  const at = '/api/v1/namespaces/held'
  const { json } = await good(call('GET', at))
  deepStrictEqual(json['spec'], { finalizers: ['kubernetes'] })
  const added = await good(call('PUT', `${at}/finalize`, { ...json, spec: { finalizers: ['e2e.example.com/fakeFinalizer', 'kubernetes'] } }))
  deepStrictEqual(added.json['spec'], { finalizers: ['e2e.example.com/fakeFinalizer', 'kubernetes'] })
  await good(call('DELETE', at))
  deepStrictEqual((await good(call('GET', at))).json['status']?.['phase'], 'Terminating')
  const going = (await good(call('PUT', `${at}/finalize`, { ...added.json, metadata: { name: 'held' }, spec: { finalizers: [] } }))).json
  deepStrictEqual([going['spec'], (await call('GET', at)).status], [{}, 404])
})

test('reviews answer what is asked of them: self, others, others here', async () => {
  const { call } = await prepared()
  const asked = async (path: string, spec: object) => { const { status, json } = await call('POST', path, { spec }); return [status, json['status']] }
  const resourceAttributes = { verb: 'get', group: 'apps', resource: 'deployments', namespace: 'default' }
  const user = 'system:serviceaccount:default:e2e'
  const self = await good(call('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {}), 201)
  deepStrictEqual([self.json['status']?.['userInfo']?.['username'], items(self.json['status']?.['userInfo']?.['groups'])], ['admin', ['system:masters', 'system:authenticated']])
  deepStrictEqual(await asked('/apis/authorization.k8s.io/v1/subjectaccessreviews', { user, resourceAttributes }), [201, { allowed: false }])
  deepStrictEqual(await asked('/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews', { user, resourceAttributes }), [201, { allowed: false }])
  deepStrictEqual(await asked('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', { resourceAttributes }), [201, { allowed: true }])
})

test('an event\'s series goes on through events.k8s.io, its note does not change', async () => {
  const { call } = await prepared()
  const path = '/apis/events.k8s.io/v1/namespaces/default/events'
  await good(call('POST', path, { metadata: { name: 'e' }, regarding: { kind: 'Pod', namespace: 'default', name: 'p' }, eventTime: '2026-01-01T00:00:00.000000Z', action: 'Do', reason: 'Test', type: 'Normal', note: 'a note', reportingController: 'test-controller', reportingInstance: 'test-node' }), 201)
  const series = { count: 2, lastObservedTime: '2026-01-01T00:00:01.000000Z' }
  deepStrictEqual((await good(call('PATCH', `${path}/e`, { series }, MERGE))).json['series'], series)
  deepStrictEqual([(await call('PATCH', `${path}/e`, { note: 'another' }, MERGE)).status, items((await good(call('GET', `${NS}/events?fieldSelector=reason%3DTest,involvedObject.name%3Dp`))).json['items']).length], [422, 1])
})
