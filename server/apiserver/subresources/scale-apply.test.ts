import assert from 'node:assert/strict'
import { test } from 'node:test'
import { harness, items, type Answer, type Harness } from '../app.test-support.ts'

const PATH = '/apis/apps/v1/namespaces/default/deployments'
const DEPLOYMENT = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, spec: { replicas: 1, selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } } } }
const scaleTo = (replicas: number, metadata: object = {}) => ({ apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'd', ...metadata }, spec: { replicas } })
const applyTo = (h: Harness, path: string, query: string, body: object): Promise<Answer> => h.call('PATCH', `${path}?${query}`, Buffer.from(JSON.stringify(body)), { 'content-type': 'application/apply-patch+yaml' })
const holders = async (h: Harness): Promise<string[]> => items((await h.call('GET', `${PATH}/d`)).json['metadata']?.['managedFields'])
  .filter((e) => e['fieldsV1']?.['f:spec']?.['f:replicas']).map((e) => `${String(e['manager'])} ${String(e['operation'])} ${String(e['apiVersion'])} ${String(e['subresource'] ?? '')}`.trim())

test('applying a Scale owns the replicas of what is scaled', async () => {
  const h = harness()
  assert.equal((await applyTo(h, `${PATH}/d`, 'fieldManager=m', DEPLOYMENT)).status, 201)
  const refused = await applyTo(h, `${PATH}/d/scale`, 'fieldManager=n', scaleTo(5))
  assert.deepEqual([refused.status, refused.json['message']], [409, 'Apply failed with 1 conflict: conflict with "m": .spec.replicas'])
  const forced = await applyTo(h, `${PATH}/d/scale`, 'fieldManager=n&force=true', scaleTo(5))
  assert.deepEqual([forced.status, forced.json['kind'], forced.json['spec']], [200, 'Scale', { replicas: 5 }])
  assert.deepEqual(await holders(h), ['n Apply apps/v1 scale'])
  assert.deepEqual((await h.call('GET', `${PATH}/d`)).json['spec']?.['replicas'], 5)
  const again = await applyTo(h, `${PATH}/d/scale`, 'fieldManager=n', scaleTo(5))
  assert.deepEqual([again.status, again.json['metadata']?.['resourceVersion']], [200, forced.json['metadata']?.['resourceVersion']])
  const back = await applyTo(h, `${PATH}/d`, 'fieldManager=m', DEPLOYMENT)
  assert.deepEqual([back.status, back.json['message']], [409, 'Apply failed with 1 conflict: conflict with "n" with subresource "scale": .spec.replicas'])
})

test('who applies the same number shares it, and another kind or state is refused', async () => {
  const h = harness()
  await applyTo(h, `${PATH}/d`, 'fieldManager=m', DEPLOYMENT)
  assert.equal((await applyTo(h, `${PATH}/d/scale`, 'fieldManager=n', scaleTo(1))).status, 200)
  assert.deepEqual(await holders(h), ['n Apply apps/v1 scale', 'm Apply apps/v1'])
  assert.equal((await applyTo(h, `${PATH}/d/scale`, 'fieldManager=n', DEPLOYMENT)).status, 400)
  assert.equal((await applyTo(h, `${PATH}/d/scale`, 'fieldManager=n&force=1', scaleTo(3, { resourceVersion: '1' }))).status, 409)
  assert.equal((await applyTo(h, `${PATH}/d/scale`, 'force=1', scaleTo(3))).status, 422)
  assert.equal((await applyTo(h, `${PATH}/none/scale`, 'fieldManager=n', { ...scaleTo(3), metadata: { name: 'none' } })).status, 404)
})

test('who scales owns the replicas, without a time, until there are none', async () => {
  const h = harness()
  await h.call('POST', `${PATH}?fieldManager=maker`, DEPLOYMENT)
  const owners = async (replicas: number) => {
    await h.call('PATCH', `${PATH}/d/scale?fieldManager=one`, { spec: { replicas } }, { 'content-type': 'application/merge-patch+json' })
    return items((await h.call('GET', `${PATH}/d`)).json['metadata']?.['managedFields']).map((e) => [String(e['manager']), e['time'] !== undefined, e['fieldsV1']?.['f:spec']?.['f:replicas'] !== undefined])
  }
  assert.deepEqual(await owners(3), [['one', false, true], ['maker', true, false]])
  assert.deepEqual(await owners(0), [['maker', true, false]])
})
