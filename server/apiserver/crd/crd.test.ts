/** Custom resources through the whole handler. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { harness, items, type Harness, type Loose } from '../app.test-support.ts'
import { rows } from '../registry.ts'
import { cronTabs } from './crd.test-support.ts'

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const TABS = '/apis/stable.example.com/v1/namespaces/default/crontabs'

async function established(h: Harness, body: Record<string, unknown>): Promise<Loose> {
  const made = await h.call('POST', CRDS, body)
  assert.equal(made.status, 201, made.text)
  const name = String((body['metadata'] as { name: string }).name)
  for (let turn = 0; turn < 500; turn++) {
    const { json } = await h.call('GET', `${CRDS}/${name}`)
    if (JSON.stringify(json['status']?.['conditions'] ?? []).includes('InitialNamesAccepted')) return json
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  assert.fail(`not established: ${JSON.stringify((await h.call('GET', `${CRDS}/${name}`)).json['status'])}`)
}

test('a definition is established, its objects are created, read, listed, changed, watched and deleted', async () => {
  const h = harness({ rows })
  const crd = await established(h, cronTabs())
  assert.deepEqual(items<{ type: string; status: string; reason: string }>(crd['status']?.['conditions']).map((c) => `${c.type}=${c.status} ${c.reason}`), ['NamesAccepted=True NoConflicts', 'Established=True InitialNamesAccepted'])
  assert.deepEqual(crd['status']?.['storedVersions'], ['v1'])
  const made = await h.call('POST', TABS, { apiVersion: 'stable.example.com/v1', kind: 'CronTab', metadata: { name: 'a' }, spec: { cronSpec: '* * * * *', extra: 1 } })
  assert.equal(made.status, 201, made.text)
  assert.deepEqual(made.json['spec'], { cronSpec: '* * * * *', replicas: 1 })
  assert.equal(made.headers['warning'], '299 - "unknown field \\"spec.extra\\""')
  assert.equal(made.json['metadata']?.['generation'], 1)
  const listed = await h.call('GET', TABS)
  assert.deepEqual([listed.json['kind'], listed.json['items']?.['length']], ['CronTabList', 1])
  const patched = await h.call('PATCH', `${TABS}/a`, { spec: { replicas: 3 } }, { 'content-type': 'application/merge-patch+json' })
  assert.deepEqual([patched.json['spec']?.['replicas'], patched.json['metadata']?.['generation']], [3, 2])
  assert.equal((await h.call('PATCH', `${TABS}/a`, {}, { 'content-type': 'application/strategic-merge-patch+json' })).status, 415)
  const w = await h.watch(`${TABS}?watch=true`)
  assert.deepEqual(await w.next(1), ['ADDED a'])
  const gone = await h.call('DELETE', `${TABS}/a`)
  assert.deepEqual([gone.status, gone.json['status']], [200, 'Success'])
  assert.deepEqual(await w.next(1), ['DELETED a'])
  w.stop()
  h.api.close()
})
