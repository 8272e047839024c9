import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { harness } from '../app.test-support.ts'
import { decodeStored, encodeStored, metadataEnd, spliceObject, objectStart, STORED_START_BYTES } from './bytes.ts'
import { storedItems } from '../table/list-form.ts'
import { joinEntries } from '../verbs/list-bytes.ts'
import { equalJson } from './equal.ts'
import { prefixOf, splitStorageKey, storageKey } from './keys.ts'
import { SWEEP_MS } from './expiry.ts'
import { MemoryStore } from '#server/store/store-memory.ts'

const OF = { kind: 'ConfigMap', apiVersion: 'v1' }

describe('objects as bytes', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '"', '\\', '{', '}', '[', ',', ':', 'é', '\u2028', '😀', '\n'), maxLength: 120, size: 'max' })
  const object = fc.record({
    metadata: fc.record({ name: fc.constant('x'), annotations: fc.dictionary(text.filter((k) => k !== '' && k !== '__proto__'), text, { minKeys: 1, maxKeys: 4 }) }),
    data: fc.dictionary(text.filter((k) => k !== '__proto__'), text, { minKeys: 1, maxKeys: 4 }),
  })

  test('what is spliced is what was stored, with kind, apiVersion and resourceVersion', () => {
    fc.assert(fc.property(object, fc.nat(), (o, n) => {
      const value = encodeStored(o, 'ConfigMap')
      const spliced = JSON.parse(Buffer.concat(spliceObject(objectStart(OF), value, n + 1)).toString()) as object
      const item = JSON.parse(Buffer.concat(joinEntries([{ value, revision: n + 1 }], storedItems())).toString()) as object
      const decoded = decodeStored(value, OF, n + 1)
      assert.deepEqual(spliced, decoded)
      assert.deepEqual({ ...OF, ...item }, decoded)
      assert.deepEqual([decoded.kind, decoded.apiVersion, decoded.metadata.resourceVersion, decoded.metadata.name], ['ConfigMap', 'v1', String(n + 1), 'x'])
      assert.ok(equalJson({ ...decoded, metadata: { ...decoded.metadata, resourceVersion: undefined } }, { ...OF, ...o }))
    }))
  })

  test('metadata is found in the bytes whatever its strings hold', () => {
    fc.assert(fc.property(object, (o) => {
      const value = encodeStored(o, 'ConfigMap')
      const metadata = JSON.parse(value.toString('utf8', STORED_START_BYTES - 1, metadataEnd(value))) as unknown
      assert.deepEqual(metadata, (JSON.parse(value.toString()) as { metadata: unknown }).metadata)
    }))
  })

  test('equalJson is deep equality in which undefined is absent', () => {
    fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      assert.equal(equalJson(a, structuredClone(a)), true)
      assert.equal(equalJson(a, b), JSON.stringify(sorted(a)) === JSON.stringify(sorted(b)))
    }))
    assert.deepEqual([equalJson({ a: undefined }, {}), equalJson({}, { a: undefined }), equalJson({ a: null }, {}), equalJson([], {})], [true, true, false, false])
  })
})

function sorted(value: unknown): unknown {
  if (Object.is(value, -0)) return 0
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.keys(value).sort().map((key) => [key, sorted((value as Record<string, unknown>)[key])]).concat([['', 'object']])
}

test('keys', () => {
  const pods = { group: '', resource: 'pods', namespaced: true }
  const nodes = { group: '', resource: 'nodes', namespaced: false }
  const leases = { group: 'coordination.k8s.io', resource: 'leases', namespaced: true }
  assert.deepEqual([storageKey(pods, 'ns', 'a'), storageKey(nodes, '', 'n'), storageKey(leases, 'x', 'l'), prefixOf(pods, 'ns')],
    ['/registry/core/pods/ns/a', '/registry/core/nodes/n', '/registry/coordination.k8s.io/leases/x/l', '/registry/core/pods/ns/'])
  assert.deepEqual(splitStorageKey(pods, prefixOf(pods).length, storageKey(pods, 'ns', 'a')), { namespace: 'ns', name: 'a' })
  assert.deepEqual(splitStorageKey(nodes, prefixOf(nodes).length, storageKey(nodes, '', 'n:1')), { namespace: '', name: 'n:1' })
})

test('events go an hour after they were last written, and not before', async () => {
  const { call, clock, api } = harness()
  const path = '/api/v1/namespaces/default/events'
  const event = (name: string) => ({ metadata: { name }, involvedObject: { namespace: 'default' }, reason: 'x' })
  const left = async () => ((await call('GET', path)).json['items'] as unknown as { metadata: { name: string } }[]).map((e) => e.metadata.name)
  await call('POST', path, event('old'))
  await call('POST', path, event('renewed'))
  await clock.advance(2_400_000)
  await call('PATCH', `${path}/renewed`, { count: 2 }, { 'content-type': 'application/merge-patch+json' })
  await clock.advance(1_400_000)
  assert.deepEqual(await left(), ['renewed'])
  await clock.advance(3_600_000 + SWEEP_MS)
  assert.deepEqual(await left(), [])
  api.close()
  const pending = clock.pending
  await clock.advance(SWEEP_MS * 2)
  assert.ok(clock.pending <= pending)
})

test('of several servers only the one that leads takes events away', async () => {
  const store = Object.assign(new MemoryStore(), { leads: () => isLeading })
  let isLeading = false
  const { call, clock, api } = harness({ store })
  const path = '/api/v1/namespaces/default/events'
  const left = async () => ((await call('GET', path)).json['items'] as unknown as unknown[]).length
  await call('POST', path, { metadata: { name: 'old' }, involvedObject: { namespace: 'default' }, reason: 'x' })
  await clock.advance(3_600_000 + SWEEP_MS * 2)
  assert.equal(await left(), 1)
  isLeading = true
  await clock.advance(SWEEP_MS)
  assert.equal(await left(), 0)
  api.close()
})
