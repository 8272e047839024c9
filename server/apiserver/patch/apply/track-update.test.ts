import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { builtinSchema as schema } from '#api/schema/index.ts'
import type { KubeObject, ManagedFieldsEntry } from '#api/types/index.ts'
import { difference, emptySet, equalSets, hasPath, insertPath, intersection, parseFieldsV1, pathsOf, recursiveDifference, toFieldsV1, union } from './field-set.ts'
import { conformObject } from '../../decode/conform.ts'
import { managerName, trackUpdate } from './track-update.ts'

interface Write { live?: object | undefined; next: object; manager?: string; subresource?: string; model?: string; apiVersion?: string; nowMs?: number }
/** The object as the store would have it next. */
function write({ live, next, manager = 'kubectl', subresource = '', model = 'Deployment', apiVersion = 'apps/v1', nowMs = 0 }: Write): KubeObject {
  const copy = structuredClone(next) as KubeObject
  const kept = (live as KubeObject | undefined)?.metadata?.managedFields
  if (kept && !copy.metadata?.managedFields) copy.metadata = { ...copy.metadata, managedFields: kept }
  conformObject(copy, { schema, model })
  trackUpdate({ live: live as KubeObject | undefined, next: copy, manager, subresource, apiVersion, nowMs, schema, model })
  return copy
}
const fields = (object: KubeObject) => (object.metadata?.managedFields ?? []).map((e: ManagedFieldsEntry) => [e.manager, e.subresource ?? '', e.time, e.fieldsV1])

const deployment = (spec: object, metadata: object = {}) => ({ metadata: { name: 'd', namespace: 'n', uid: 'u', ...metadata }, spec })
const T0 = '1970-01-01T00:00:00Z'
const T1 = '1970-01-01T00:00:01Z'

test('a creator owns what it sent, in upstream\'s form', () => {
  const created = write({ next: deployment({
    replicas: 1, selector: { matchLabels: { a: 'b' } }, strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i', resources: {}, ports: [{ containerPort: 80, protocol: 'TCP' }] }] } },
  }, { labels: { x: 'y' }, finalizers: ['f/x'] }) })
  assert.deepStrictEqual(created.metadata?.managedFields, [{
    manager: 'kubectl', operation: 'Update', apiVersion: 'apps/v1', time: T0, fieldsType: 'FieldsV1',
    fieldsV1: {
      'f:metadata': { 'f:finalizers': { '.': {}, 'v:"f/x"': {} }, 'f:labels': { '.': {}, 'f:x': {} } },
      'f:spec': {
        'f:replicas': {}, 'f:selector': {}, 'f:strategy': { 'f:rollingUpdate': { '.': {}, 'f:maxSurge': {} }, 'f:type': {} },
        'f:template': {
          'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } },
          'f:spec': { 'f:containers': { 'k:{"name":"c"}': { '.': {}, 'f:image': {}, 'f:name': {}, 'f:ports': { '.': {}, 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {}, 'f:protocol': {} } }, 'f:resources': {} } } },
        },
      },
    },
  }])
})

test('who changes a field takes it; what is removed is nobody\'s; nothing changed, nothing written', () => {
  const created = write({ next: deployment({ replicas: 1, paused: true, revisionHistoryLimit: 3 }) })
  const scaled = write({ live: created, next: deployment({ replicas: 2, revisionHistoryLimit: 3 }), manager: 'hpa', nowMs: 1000 })
  assert.deepStrictEqual(fields(scaled), [
    ['kubectl', '', T0, { 'f:spec': { 'f:revisionHistoryLimit': {} } }],
    ['hpa', '', T1, { 'f:spec': { 'f:replicas': {} } }],
  ])
  assert.strictEqual(write({ live: scaled, next: deployment({ replicas: 2, revisionHistoryLimit: 3 }), manager: 'other', nowMs: 9000 }).metadata?.managedFields, scaled.metadata?.managedFields)
  const taken = write({ live: scaled, next: deployment({ replicas: 3, revisionHistoryLimit: 3 }), nowMs: 2000 })
  assert.deepStrictEqual(fields(taken), [['kubectl', '', '1970-01-01T00:00:02Z', { 'f:spec': { 'f:replicas': {}, 'f:revisionHistoryLimit': {} } }]])
})

test('status is owned by writers of /status alone, and told apart', () => {
  const live = write({ next: deployment({ replicas: 1 }) })
  const next = { ...deployment({ replicas: 1 }), status: { replicas: 1, conditions: [{ type: 'Available', status: 'True' }] } }
  const reported = write({ live, next, manager: 'controller', subresource: 'status', nowMs: 1000 })
  assert.deepStrictEqual(fields(reported), [
    ['kubectl', '', T0, { 'f:spec': { 'f:replicas': {} } }],
    ['controller', 'status', T1, { 'f:status': { 'f:conditions': { '.': {}, 'k:{"type":"Available"}': { '.': {}, 'f:lastTransitionTime': {}, 'f:lastUpdateTime': {}, 'f:status': {}, 'f:type': {} } }, 'f:replicas': {} } }],
  ])
  assert.deepStrictEqual(fields(write({ next })), [['kubectl', '', T0, { 'f:spec': { 'f:replicas': {} } }]])
})

test('[{}] and [] drop managedFields and they stay dropped; a broken list does not', () => {
  const live = write({ next: deployment({ replicas: 1 }) })
  for (const managedFields of [[{}], []]) {
    const reset = write({ live, next: deployment({ replicas: 1 }, { managedFields }) })
    assert.equal(reset.metadata?.managedFields, undefined)
    assert.equal(write({ live: reset, next: deployment({ replicas: 2 }) }).metadata?.managedFields, undefined)
  }
  for (const managedFields of [[{ manager: 'x', operation: 'Update', fieldsV1: { junk: {} } }]]) {
    assert.deepStrictEqual(fields(write({ live, next: deployment({ replicas: 1 }, { managedFields }) })), fields(live))
  }
})

test('of several entries of one owner that a writer sends, the last one counts', () => {
  const live = write({ next: deployment({ replicas: 1 }) })
  const entry = (name: string) => ({ manager: 'x', operation: 'Apply' as const, apiVersion: 'apps/v1', fieldsType: 'FieldsV1' as const, time: T0, fieldsV1: { 'f:spec': { [`f:${name}`]: {} } } })
  assert.deepStrictEqual(fields(write({ live, next: deployment({ replicas: 1 }, { managedFields: [entry('replicas'), entry('paused')] }) })), [['x', '', T0, { 'f:spec': { 'f:paused': {} } }]])
})

test('the eleventh updater sends the two oldest into ancient-changes', () => {
  let live: KubeObject = write({ next: deployment({}, { labels: { l0: '' } }), manager: 'm0' })
  for (let i = 1; i <= 11; i++) {
    const labels = Object.fromEntries(Array.from({ length: i + 1 }, (_, n) => [`l${n}`, '']))
    live = write({ live, next: deployment({}, { labels }), manager: `m${i}`, nowMs: i * 1000 })
  }
  const managers = live.metadata?.managedFields?.map((e) => e.manager)
  assert.deepStrictEqual(managers, ['ancient-changes', 'm3', 'm4', 'm5', 'm6', 'm7', 'm8', 'm9', 'm10', 'm11'])
  assert.deepStrictEqual(live.metadata?.managedFields?.[0]?.fieldsV1, { 'f:metadata': { 'f:labels': { '.': {}, 'f:l0': {}, 'f:l1': {}, 'f:l2': {} } } })
})

test('a manager\'s name is fieldManager, else the user agent up to its slash', () => {
  assert.deepStrictEqual([managerName('a', 'b/1'), managerName('', 'kubectl/v1.32 (linux)'), managerName(undefined, ''), managerName(undefined, `${'x'.repeat(200)}/1`).length], ['a', 'kubectl', 'unknown', 128])
})

const element = fc.constantFrom('f:a', 'f:b', 'k:{"name":"x"}', 'v:1', 'i:0')
const paths = fc.uniqueArray(fc.array(element, { minLength: 1, maxLength: 3 }), { selector: (p) => p.join(), maxLength: 12 })
const setOf = (list: string[][]) => { const set = emptySet(); for (const p of list) insertPath(set, p); return set }
const texts = (list: string[][]) => list.map((p) => p.join('/')).toSorted()

test('set algebra agrees with sets of path texts', () => {
  fc.assert(fc.property(paths, paths, (a, b) => {
    const [ta, tb] = [new Set(texts(a)), new Set(texts(b))]
    assert.deepStrictEqual(texts(pathsOf(union(setOf(a), setOf(b)))), [...new Set([...ta, ...tb])].toSorted())
    assert.deepStrictEqual(texts(pathsOf(difference(setOf(a), setOf(b)))), [...ta].filter((x) => !tb.has(x)).toSorted())
    assert.deepStrictEqual(texts(pathsOf(intersection(setOf(a), setOf(b)))), [...ta].filter((x) => tb.has(x)).toSorted())
    assert.deepStrictEqual(texts(pathsOf(recursiveDifference(setOf(a), setOf(b)))), [...ta].filter((x) => ![...tb].some((y) => x === y || x.startsWith(`${y}/`))).toSorted())
    for (const p of a) assert.equal(hasPath(setOf(b), p), tb.has(p.join('/')))
  }))
})

test('FieldsV1 survives the wire', () => {
  fc.assert(fc.property(paths, (a) => {
    const back = parseFieldsV1(JSON.parse(JSON.stringify(toFieldsV1(setOf(a)))))
    assert.ok(back && equalSets(back, setOf(a)))
  }))
  assert.equal(parseFieldsV1({ 'x:a': {} }), undefined)
  assert.equal(parseFieldsV1({ 'f:a': 1 }), undefined)
})
