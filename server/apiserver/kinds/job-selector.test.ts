/** What a Job's selector may be, as kube-apiserver 1.36.2 answers it; and two more of its answers about what is there or not. */
import { deepStrictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { applyStrategicMergePatch } from '../patch/strategic-merge-patch.ts'
import { builtinSchema } from '#api/schema/index.ts'
import { causes, cluster } from './kinds.test-support.ts'

const JOBS = '/apis/batch/v1/namespaces/default/jobs'
const EVENTS = '/api/v1/namespaces/default/events'

test('a selector of one\'s own needs manualSelector, and labels of one\'s own are those that would be made', async () => {
  const { call } = cluster()
  const made = async (spec: object, labels: object = {}) => {
    const answer = await call('POST', JOBS, { metadata: { name: 'j' }, spec: { template: { metadata: { labels }, spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } }, ...spec } })
    if (answer.status === 201) await call('DELETE', `${JOBS}/j?propagationPolicy=Background`)
    return causes(answer).map((text) => text.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'UID').replace(/value: \{.*\}/, 'value: {}'))
  }
  const own = { selector: { matchLabels: { a: 'b' } } }
  const [noMatch, notMade] = ['spec.template.metadata.labels: Invalid value: {}: `selector` does not match template `labels`', 'spec.selector: Invalid value: {}: `selector` not auto-generated']
  deepStrictEqual(await made(own), [notMade, noMatch])
  deepStrictEqual(await made(own, { a: 'b' }), [notMade])
  deepStrictEqual(await made({ ...own, manualSelector: true }, { a: 'b' }), ['201 '])
  deepStrictEqual(await made({}, { 'job-name': 'other' }), ["spec.template.metadata.labels[job-name]: Invalid value: {}: must be 'j'"])
  deepStrictEqual(await made({ manualSelector: true }), ['spec.selector: Required value', 'spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`'])
  deepStrictEqual(await made({ selector: {} }, { a: 'b' }), ['201 '])
})

test('a Job without labels has those of its pods, one with labels keeps its own', async () => {
  const { call } = cluster()
  const made = async (labels: object | undefined, ofPods: object) => {
    const { json } = await call('POST', JOBS, { metadata: { name: 'j', ...(labels && { labels }) }, spec: { template: { metadata: { labels: ofPods }, spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } } } })
    await call('DELETE', `${JOBS}/j?propagationPolicy=Background`)
    return Object.keys(json['metadata']?.['labels'] ?? {}).toSorted()
  }
  const generated = ['batch.kubernetes.io/controller-uid', 'batch.kubernetes.io/job-name', 'controller-uid', 'job-name']
  deepStrictEqual(await made(undefined, { a: 'b' }), ['a', ...generated])
  deepStrictEqual(await made(undefined, {}), generated)
  deepStrictEqual(await made({ c: 'd' }, { a: 'b' }), ['c'])
})

test('what is immutable is not given a key with nothing in it', async () => {
  const { call } = cluster()
  const maps = '/api/v1/namespaces/default/configmaps'
  await call('POST', maps, { metadata: { name: 'm' }, data: { a: 'b' }, immutable: true })
  const changed = await call('PATCH', `${maps}/m`, { data: { c: '' } }, { 'content-type': 'application/merge-patch+json' })
  deepStrictEqual(causes(changed), ['data: Forbidden: field is immutable when `immutable` is set'])
})

test('nothing depends on an Event: it goes at once, whatever the policy', async () => {
  const { call } = cluster()
  for (const policy of ['Orphan', 'Foreground', 'Background']) {
    await call('POST', EVENTS, { metadata: { name: 'e' }, involvedObject: { namespace: 'default' } })
    const { status, json } = await call('DELETE', `${EVENTS}/e?propagationPolicy=${policy}`)
    deepStrictEqual([status, json['kind'], (await call('GET', `${EVENTS}/e`)).status], [200, 'Status', 404], policy)
  }
})

test('a map that is to be replaced and is not there is left out', () => {
  const patched = (patch: object) => applyStrategicMergePatch({ metadata: {} }, patch, { schema: builtinSchema, model: 'ConfigMap' })
  deepStrictEqual(patched({ data: { $patch: 'replace', a: 'b' } }), { ok: true, value: { metadata: {} } })
  deepStrictEqual(patched({ data: { a: 'b' } }), { ok: true, value: { metadata: {}, data: { a: 'b' } } })
})

test('parts of a byte are warned of where they are asked for, not where a volume has them', async () => {
  const { call } = cluster()
  const volume = { metadata: { name: 'v' }, spec: { capacity: { storage: '1.5' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' } } }
  const claim = { metadata: { name: 'c' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1.5' } } } }
  const warned = async (path: string, object: object) => { const { status, headers } = await call('POST', path, object); return [status, headers['warning']] }
  deepStrictEqual(await warned('/api/v1/persistentvolumes', volume), [201, undefined])
  deepStrictEqual(await warned('/api/v1/namespaces/default/persistentvolumeclaims', claim), [201, '299 - "spec.resources.requests[storage]: fractional byte value \\"1500m\\" is invalid, must be an integer"'])
})
