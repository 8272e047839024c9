/** What kube-apiserver 1.36 answers to patches and applies of which skiff once answered otherwise. */
import { deepStrictEqual, match } from 'node:assert'
import { test } from 'node:test'
import { items, type Answer } from '../app.test-support.ts'
import { causes, cluster, MERGE, NS } from '../kinds/kinds.test-support.ts'

const CM = `${NS}/configmaps`
const WEBHOOKS = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'
const BUDGETS = '/apis/policy/v1/namespaces/default/poddisruptionbudgets'
const STRATEGIC = { 'content-type': 'application/strategic-merge-patch+json' }
const APPLY = { 'content-type': 'application/apply-patch+yaml' }
const outcome = ({ status, json }: Answer): unknown[] => [status, String(json['message'])]

test('what is applied where nothing is need not be the state it was', async () => {
  const c = cluster()
  deepStrictEqual((await c.call('PATCH', `${CM}/a?fieldManager=m`, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', resourceVersion: '5' } }, APPLY)).status, 201)
})

test('what is applied to a part of nothing is not looked at; options are', async () => {
  const c = cluster()
  const at = '/apis/apps/v1/namespaces/default/deployments/absent'
  for (const path of [`${at}/status`, `${at}/scale`]) {
    for (const body of [Buffer.from('{'), Buffer.from(''), { kind: 'X', apiVersion: 'v1' }]) {
      deepStrictEqual([path, ...outcome(await c.call('PATCH', `${path}?fieldManager=m`, body, APPLY))], [path, 404, 'deployments.apps "absent" not found'])
      deepStrictEqual((await c.call('PATCH', path, body, APPLY)).status, 422)
    }
  }
})

test('a patch that takes the revision away is refused where an update must name one', async () => {
  const c = cluster()
  await c.create(BUDGETS, { metadata: { name: 'a' }, spec: { minAvailable: 1 } })
  await c.create(WEBHOOKS, { metadata: { name: 'a' } })
  await c.create(CM, { metadata: { name: 'a' } })
  const wanted = ['metadata.resourceVersion: Invalid value: 0: must be specified for an update']
  for (const resourceVersion of [null, '', '0']) deepStrictEqual(causes(await c.call('PATCH', `${BUDGETS}/a`, { metadata: { resourceVersion } }, MERGE)), wanted)
  deepStrictEqual(causes(await c.call('PATCH', `${BUDGETS}/a?fieldManager=m`, { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: { name: 'a', resourceVersion: '' } }, APPLY)), wanted)
  deepStrictEqual(causes(await c.call('PATCH', `${WEBHOOKS}/a`, { metadata: { $retainKeys: ['name'] } }, STRATEGIC)), wanted)
  deepStrictEqual((await c.call('PATCH', `${CM}/a`, { metadata: { resourceVersion: null } }, MERGE)).status, 200)
})

test('a patch that takes the version away leaves nothing that has a name', async () => {
  const c = cluster()
  await c.create(CM, { metadata: { name: 'a' }, data: { k: 'v' } })
  for (const apiVersion of [null, '']) {
    deepStrictEqual(outcome(await c.call('PATCH', `${CM}/a`, { apiVersion }, MERGE)), [400, 'the name of the object (a based on URL) was undeterminable: name must be provided'])
    match(String((await c.call('PATCH', `${CM}/a?fieldValidation=Strict`, { apiVersion }, MERGE)).json['message']), /: strict decoding error: unknown field "data", unknown field "metadata"$/)
  }
})

test('directives for what is not there are fields that nobody knows', async () => {
  const c = cluster()
  await c.create(CM, { metadata: { name: 'a' } })
  match(String((await c.call('PATCH', `${CM}/a`, { metadata: { labels: { $retainKeys: ['a'], a: 'b' } } }, STRATEGIC)).json['message']), /: unrecognized type: string$/)
  await c.create(`${NS}/pods`, { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } })
  deepStrictEqual(outcome(await c.call('PATCH', `${NS}/pods/p`, { spec: { '$setElementOrder/containers': [{}] } }, STRATEGIC)), [422, 'map: map[] does not contain declared merge key: name'])
})

test('YAML is told of in the words of its other parser', async () => {
  const c = cluster()
  await c.create(CM, { metadata: { name: 'a' } })
  const sent = (text: string) => c.call('PATCH', `${CM}/a?fieldManager=m`, Buffer.from(text), APPLY)
  deepStrictEqual(outcome(await sent('a: b: c')), [400, 'error decoding YAML: error converting YAML to JSON: yaml: mapping values are not allowed in this context'])
  deepStrictEqual(outcome(await sent('x: 1\na: b: c')), [400, 'error decoding YAML: error converting YAML to JSON: yaml: line 2: mapping values are not allowed in this context'])
})

test('a creation does not say how it ends, nor that nobody owns it', async () => {
  const c = cluster()
  const owned = async (name: string, metadata: object) => {
    const { status, json } = await c.call('POST', CM, { metadata: { name, ...metadata }, data: { k: 'v' } })
    return [status, json['metadata']?.['deletionTimestamp'], items(json['metadata']?.['managedFields']).map((entry) => Object.keys(entry['fieldsV1'] ?? {}))]
  }
  for (const [i, metadata] of [{ deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 5, selfLink: '/x' }, { managedFields: [] }, { managedFields: [{}] }, { resourceVersion: '0' }].entries()) {
    deepStrictEqual([metadata, await owned(`m${i}`, metadata)], [metadata, [201, undefined, [['f:data']]]])
  }
})
