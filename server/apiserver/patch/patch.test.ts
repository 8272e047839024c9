import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { builtinSchema as schema } from '#api/schema/index.ts'
import { applyJsonPatch, applyMergePatch, applyStrategicMergePatch, type Patched } from './index.ts'

const value = (patched: Patched): unknown => (patched.ok ? patched.value : `${patched.code} ${patched.message}`)
const frozen = <T>(v: T): T => {
  if (typeof v === 'object' && v !== null) { Object.freeze(v); Object.values(v).forEach(frozen) }
  return v
}
const json = (original: object, patch: unknown) => value(applyJsonPatch(frozen(original) as Record<string, unknown>, frozen(patch)))
const merge = (original: object, patch: unknown) => value(applyMergePatch(frozen(original) as Record<string, unknown>, frozen(patch)))
const strategic = (original: object, patch: unknown, model = 'Pod') => value(applyStrategicMergePatch(frozen(original) as Record<string, unknown>, frozen(patch), { schema, model }))

test('JSON patch: every operation', () => {
  assert.deepStrictEqual(json({ a: [1, 2, 3], b: { 'x/y': 1, '~': 2 } }, [
    { op: 'test', path: '/b/x~1y', value: 1 },
    { op: 'add', path: '/a/1', value: 9 },
    { op: 'add', path: '/a/-', value: 10 },
    { op: 'remove', path: '/b/~0' },
    { op: 'replace', path: '/a/0', value: { z: null } },
    { op: 'copy', from: '/a/0', path: '/c' },
    { op: 'move', from: '/b/x~1y', path: '/c/z' },
    { op: 'test', path: '/missing', value: null },
  ]), { a: [{ z: null }, 9, 2, 3, 10], b: {}, c: { z: 1 } })
})

const REJECTED = '422 the server rejected our request due to an error in our request: '
const JSON_REFUSALS: [string, unknown, string][] = [
  ['a failing test', [{ op: 'test', path: '/a', value: 2 }], `${REJECTED}test operation failed: testing value /a failed`],
  ['removing what is not there', [{ op: 'remove', path: '/b' }], `${REJECTED}remove operation does not apply: nonexistent key: "/b"`],
  ['replacing an item that is not there', [{ op: 'replace', path: '/l/1', value: 1 }], `${REJECTED}replace operation does not apply: invalid index: "/l/1"`],
  ['moving what is not there', [{ op: 'move', from: '/b', path: '/c' }], `${REJECTED}move operation does not apply: nonexistent key: "/b"`],
  ['testing below null', [{ op: 'test', path: '/n/x', value: null }], `${REJECTED}test operation does not apply: doc is missing path: "/n/x"`],
  ['no path', [{ op: 'remove' }], `${REJECTED}remove operation failed to decode path: missing value`],
  ['what is no operation', [1], '400 error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp'],
  ['adding below what is not there', [{ op: 'add', path: '/b/c', value: 1 }], `${REJECTED}add operation does not apply: doc is missing path: "/b/c"`],
  ['an index beyond the end', [{ op: 'add', path: '/l/3', value: 1 }], `${REJECTED}add operation does not apply: invalid index: "/l/3"`],
  ['an unknown operation', [{ op: 'frob', path: '/a' }], `${REJECTED}Unexpected kind: frob`],
  ['a whole that is no object', [{ op: 'replace', path: '', value: [] }], `${REJECTED}the patched document is no object`],
  ['a move into itself', [{ op: 'move', from: '/o', path: '/o/x' }], `${REJECTED}move operation does not apply: doc is missing destination path: "/o/x"`],
  ['no list', { op: 'add' }, '400 error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp'],
  ['a path without a slash', [{ op: 'add', path: 'a', value: 1 }], `${REJECTED}add operation does not apply: doc is missing path: "a"`],
  ['too many operations', Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/a', value: 1 })), '413 Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001'],
]
for (const [name, patch, message] of JSON_REFUSALS) test(`JSON patch refuses ${name}`, () => assert.equal(json({ a: 1, l: [1], n: null, o: {} }, patch), message))

test('JSON patch takes what upstream takes: members that are not there are replaced, copied and tested as null, no value is null, any whole number is an index', () => {
  assert.deepStrictEqual(json({ l: [1, 2] }, [{ op: 'replace', path: '/a', value: 1 }, { op: 'copy', from: '/b', path: '/c' }, { op: 'test', path: '/d' }, { op: 'add', path: '/e' }, { op: 'replace', path: '/l/01', value: 3 }, { op: 'remove', path: 'what/l/-2' }]), { a: 1, c: null, e: null, l: [3] })
})

test('JSON patch stops copies that double', () => {
  const doubling = Array.from({ length: 100 }, () => ({ op: 'copy', from: '/a', path: '/a/-' }))
  assert.match(String(json({ a: ['x'.repeat(1000)] }, doubling)), /^422 .*exceeding the limit/)
})

test('merge patch as in the appendix of RFC 7396', () => {
  const cases: [object, unknown, unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }], [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }], [{ a: 'b' }, { a: null }, {}], [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }], [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }], [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }], [{ e: null }, { a: 1 }, { e: null, a: 1 }], [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    [{ a: 'b' }, ['c'], '400 error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}'],
    // Not in the appendix: lists that come along lose the nulls of their objects, unless an object stood there.
    [{}, { a: [{ b: null, c: [{ d: null }] }, null] }, { a: [{ c: [{}] }, null] }], [{ a: {} }, { a: [{ b: null }] }, { a: [{ b: null }] }],
  ]
  for (const [original, patch, expected] of cases) assert.deepStrictEqual(merge(original, patch), expected)
})

test('merge patch: what two objects differ in, applied to the first, gives the second', () => {
  const dictionary = fc.letrec((tie) => ({ value: fc.oneof({ depthSize: 'small' }, fc.integer(), fc.array(fc.integer()), tie('object')), object: fc.dictionary(fc.string({ maxLength: 2 }), tie('value')) })).object as fc.Arbitrary<Record<string, unknown>>
  const isMap = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v)
  const diff = (a: Record<string, unknown>, b: Record<string, unknown>): Record<string, unknown> => {
    const entries: [string, unknown][] = Object.keys(a).filter((k) => !Object.hasOwn(b, k)).map((k) => [k, null])
    for (const k of Object.keys(b)) entries.push([k, Object.hasOwn(a, k) && isMap(a[k]) && isMap(b[k]) ? diff(a[k], b[k]) : isMap(b[k]) && Object.hasOwn(a, k) && isMap(a[k]) === false ? b[k] : b[k]])
    return Object.fromEntries(entries)
  }
  fc.assert(fc.property(dictionary, dictionary, (a, b) => assert.deepStrictEqual(merge(a, diff(a, b)), structuredClone(b))))
})

const pod = (spec: object, metadata: object = {}) => ({ metadata, spec })

test('strategic: containers merge by name, those of the patch in its order, the others before what they stood before', () => {
  assert.deepStrictEqual(
    strategic(pod({ containers: [{ name: 'a', image: '1' }, { name: 'b', image: '1', ports: [{ containerPort: 80 }] }] }), { spec: { containers: [{ name: 'c', image: '3' }, { name: 'b', image: '2' }] } }),
    pod({ containers: [{ name: 'c', image: '3' }, { name: 'a', image: '1' }, { name: 'b', image: '2', ports: [{ containerPort: 80 }] }] }),
  )
})

test('strategic: an element whose key is null is the patch\'s own', () => {
  assert.deepStrictEqual(strategic(pod({ containers: [{ name: 'a' }] }), { spec: { containers: [{ name: null }] } }), pod({ containers: [{}, { name: 'a' }] }))
})

test('strategic: $setElementOrder decides the order, the server\'s own stay where they were', () => {
  assert.deepStrictEqual(
    strategic(pod({ containers: [{ name: 'a' }, { name: 'sidecar' }, { name: 'b' }] }), { spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }], containers: [{ name: 'b', image: 'x' }] } }),
    pod({ containers: [{ name: 'sidecar' }, { name: 'b', image: 'x' }, { name: 'a' }] }),
  )
  assert.deepStrictEqual(
    strategic(pod({ containers: [{ name: 'sidecar' }, { name: 'a' }, { name: 'b' }] }), { spec: { '$setElementOrder/containers': [{ name: 'a' }, { name: 'b' }] } }),
    pod({ containers: [{ name: 'sidecar' }, { name: 'a' }, { name: 'b' }] }),
  )
  assert.equal(
    strategic(pod({ containers: [{ name: 'a' }] }), { spec: { '$setElementOrder/containers': [{ name: 'a' }], containers: [{ name: 'z' }] } }),
    '422 The order in patch list:\n[map[name:z]]\n doesn\'t match $setElementOrder list:\n[map[name:a]]\n',
  )
})

test('strategic: $patch delete, replace and their refusals', () => {
  const two = pod({ containers: [{ name: 'a', image: '1' }, { name: 'b', image: '1' }] })
  assert.deepStrictEqual(strategic(two, { spec: { containers: [{ name: 'a', $patch: 'delete' }] } }), pod({ containers: [{ name: 'b', image: '1' }] }))
  assert.deepStrictEqual(strategic(two, { spec: { containers: [{ name: 'z' }, { $patch: 'replace' }] } }), pod({ containers: [{ name: 'z' }] }))
  assert.deepStrictEqual(strategic(pod({ securityContext: { runAsUser: 1 } }), { spec: { securityContext: { $patch: 'replace', fsGroup: 2 } } }), pod({ securityContext: { fsGroup: 2 } }))
  assert.deepStrictEqual(strategic(pod({ securityContext: { runAsUser: 1 } }), { spec: { securityContext: { $patch: 'delete' } } }), pod({ securityContext: {} }))
  assert.equal(strategic(two, { spec: { containers: [{ $patch: 'merge', name: 'a' }] } }), '422 merging lists cannot yet be specified in the patch')
  assert.equal(strategic(two, { spec: { containers: [{ image: 'x' }] } }), '422 map: map[image:x] does not contain declared merge key: name')
  assert.equal(strategic(two, { spec: { $patch: 'frob' } }), '422 unknown patch type: frob in map: map[$patch:frob]')
})

test('strategic: lists of scalars', () => {
  const meta = (finalizers: string[]) => ({ metadata: { finalizers } })
  assert.deepStrictEqual(strategic(meta(['a', 'b']), { metadata: { finalizers: ['c', 'a'] } }), meta(['c', 'a', 'b']))
  assert.deepStrictEqual(strategic(meta(['a', 'b', 'c']), { metadata: { '$deleteFromPrimitiveList/finalizers': ['a', 'z'] } }), meta(['b', 'c']))
  assert.deepStrictEqual(strategic(meta(['a', 'b']), { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'], '$setElementOrder/finalizers': ['c', 'b'], finalizers: ['c'] } }), meta(['c', 'b']))
  assert.deepStrictEqual(strategic(pod({ containers: [{ name: 'a', args: ['1', '2'] }] }), { spec: { containers: [{ name: 'a', args: ['3'] }] } }), pod({ containers: [{ name: 'a', args: ['3'] }] }))
})

test('strategic: $retainKeys clears what is not listed', () => {
  const deployment = { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } }
  assert.deepStrictEqual(strategic(deployment, { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } }, 'Deployment'), { spec: { strategy: { type: 'Recreate' } } })
  assert.equal(strategic(deployment, { spec: { strategy: { $retainKeys: ['type'], rollingUpdate: {} } } }, 'Deployment'), '400 invalid patch format of retainKeys')
  assert.equal(strategic(deployment, { spec: { strategy: { $retainKeys: 'type' } } }, 'Deployment'), '400 invalid patch format of retainKeys')
  assert.deepStrictEqual(
    strategic(pod({ volumes: [{ name: 'v', emptyDir: {} }] }), { spec: { volumes: [{ $retainKeys: ['name', 'hostPath'], name: 'v', hostPath: { path: '/' } }] } }),
    pod({ volumes: [{ name: 'v', hostPath: { path: '/' } }] }),
  )
})

test('strategic: null deletes, also in parts that are new', () => {
  assert.deepStrictEqual(strategic(pod({ nodeName: 'n', containers: [] }, { labels: { a: '1', b: '2' } }), { metadata: { labels: { a: null }, annotations: { x: null, y: '1' } }, spec: { nodeName: null, dnsConfig: { options: null } } }),
    pod({ containers: [], dnsConfig: {} }, { labels: { b: '2' }, annotations: { y: '1' } }))
})

test('strategic: selectors of disruption budgets are replaced, free-form JSON merges as JSON', () => {
  assert.deepStrictEqual(strategic({ spec: { selector: { matchLabels: { a: '1' } } } }, { spec: { selector: { matchExpressions: [] } } }, 'PodDisruptionBudget'), { spec: { selector: { matchExpressions: [] } } })
  assert.deepStrictEqual(strategic({ data: { a: [1], b: { c: 1 } } }, { data: { a: [2], b: { d: 2 } } }, 'ControllerRevision'), { data: { a: [2], b: { c: 1, d: 2 } } })
})

test('strategic: a patch of all of b makes a into b when both have the same keys and names', () => {
  const container = fc.record({ name: fc.constantFrom('a', 'b', 'c'), image: fc.string(), tty: fc.boolean() }, { noNullPrototype: true })
  const containers = fc.uniqueArray(container, { selector: (c) => c.name })
  fc.assert(fc.property(containers, containers, (a, b) => {
    const gone = a.filter((x) => !b.some((y) => y.name === x.name)).map(({ name }) => ({ name, $patch: 'delete' }))
    const patch = { spec: { '$setElementOrder/containers': b.map(({ name }) => ({ name })), containers: [...b, ...gone] } }
    assert.deepStrictEqual(strategic(structuredClone(pod({ containers: a })), structuredClone(patch)), pod({ containers: b }))
  }))
})
