import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { builtinSchema as schema } from '#api/schema/index.ts'
import type { FieldType } from '#api/schema/schema.ts'
import { zeroOf } from '../../decode/zero-value.ts'
import type { Json } from '../result.ts'
import { compareObjects } from './compare.ts'
import { createdFields } from './created-fields.ts'
import { toFieldsV1, union, isEmptySet } from './field-set.ts'
import { ownable } from './managed-fields.ts'

/** As it is worked out of a set for any other write. */
function byComparison(object: Json, model: string, hasStatus: boolean): object | undefined {
  const { added, modified } = compareObjects(zeroOf({ kind: 'ref', model }, schema) as Json, object, model, schema)
  const set = ownable(union(added, modified), { subresource: '', hasStatus, statusKeepsMetadata: false })
  return isEmptySet(set) ? undefined : toFieldsV1(set)
}

const KINDS = ['Pod', 'ConfigMap', 'Deployment', 'Service', 'Node', 'ClusterRole', 'CronJob', 'NetworkPolicy', 'Ingress', 'CustomResourceDefinition', 'ResourceSlice', 'HorizontalPodAutoscaler'].filter((name) => schema.model(name))
const NAMES = ['a', 'b', '10', '9', 'a/b', '__proto__', 'ä']

/** Some value of the type, now and then null or of another type altogether. */
function valueOf(type: FieldType, g: fc.GeneratorValue, depth: number): unknown {
  const odd = g(fc.nat, 40)
  if (odd === 0) return null
  if (odd === 1) return g(fc.constantFrom, 'x', 0, false, [], {})
  switch (type.kind) {
    case 'scalar': return g(fc.constantFrom<unknown[]>, '', 'x', 'y', 0, 1, false, true)
    case 'any': return g(fc.constantFrom<unknown[]>, {}, { a: 1 }, 'x')
    case 'list': return depth <= 0 ? [] : Array.from({ length: g(fc.nat, 3) }, () => valueOf(type.items, g, depth - 1))
    case 'map': return Object.fromEntries(Array.from({ length: g(fc.nat, 3) }, () => [g(fc.constantFrom, ...NAMES), valueOf(type.values, g, depth - 1)]))
    case 'ref': return depth <= 0 ? {} : structOf(type.model, g, depth - 1)
  }
}

function structOf(name: string, g: fc.GeneratorValue, depth: number): Json {
  const fields = Object.entries(schema.model(name)?.fields ?? {})
  const object: Json = {}
  for (let count = Math.min(fields.length, g(fc.nat, 6)); count > 0; count--) {
    const [key, { type }] = fields[g(fc.nat, fields.length - 1)] as (typeof fields)[number]
    object[key] = valueOf(type, g, depth)
  }
  return object
}

test('what a creator owns is what differs from the zero value of the type, whatever the object', () => {
  assert.ok(KINDS.length > 8)
  fc.assert(fc.property(fc.constantFrom(...KINDS), fc.boolean(), fc.gen(), (model, hasStatus, g) => {
    const object: Json = { ...structOf(model, g, 7), apiVersion: 'v1', kind: model, metadata: structOf('ObjectMeta', g, 2) }
    const before = structuredClone(object)
    const fields = createdFields(object, { schema, model, hasStatus })
    const expected = byComparison(object, model, hasStatus)
    assert.equal(JSON.stringify(fields), JSON.stringify(expected))
    assert.deepStrictEqual(object, before, 'the object is not changed')
  }), { numRuns: 3000 })
})

test('the containers of a pod are owned by their names, in order, and their fields with them', () => {
  const pod = { metadata: { name: 'p', labels: { b: '1', a: '2' } }, spec: { containers: [{ name: 'z', image: 'i', ports: [{ containerPort: 80 }, { containerPort: 8 }] }, { name: 'c', image: 'i', resources: {} }] }, status: { phase: 'Running' } }
  const c = { '.': {}, 'f:image': {}, 'f:name': {} }
  assert.equal(JSON.stringify(createdFields(pod, { schema, model: 'Pod', hasStatus: true })), JSON.stringify({
    'f:metadata': { 'f:labels': { '.': {}, 'f:a': {}, 'f:b': {} } },
    'f:spec': { 'f:containers': {
      'k:{"name":"c"}': { ...c, 'f:resources': {} },
      'k:{"name":"z"}': { ...c, 'f:ports': { '.': {}, 'k:{"containerPort":8,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} }, 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } } },
    } },
  }))
})
