import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { builtinSchema, type SchemaSet } from '#api/schema/index.ts'
import type { JSONSchemaProps, KubeObject } from '#api/types/index.ts'
import { createCustomTypes } from '../../crd/schema/field-types.ts'
import { compileSchema } from '../../crd/schema/node.ts'
import { conformObject } from '../../decode/conform.ts'
import { apply } from './apply.ts'
import { pathsOf } from './field-set.ts'
import { pathText } from './path-element.ts'
import { ownerId, parseManagedFields } from './managed-fields.ts'
import { flatten, JOIN, leaf, leavesOf, map, ownersOf, Twin, type Nodes, type Shape } from './ownership-twin.test-support.ts'
import { trackUpdate } from './track-update.ts'

type Json = Record<string, unknown>
interface Subject { schema: SchemaSet; model: string; apiVersion: string; kind: string; shape: Shape; body: fc.Arbitrary<Json>; isCustom: boolean }

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const some = <T>(items: fc.Arbitrary<T>, key: (item: T) => unknown) => fc.uniqueArray(items, { minLength: 1, maxLength: 3, selector: key })
const labels = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('1', '2'), { minKeys: 1, maxKeys: 3 })
const struct = (fields: Readonly<Record<string, Shape>>, always = false): Shape => ({ kind: 'struct', fields, always })

const port = fc.record({ containerPort: fc.constantFrom(80, 443), protocol: maybe(fc.constantFrom('TCP', 'UDP')), hostPort: maybe(fc.constantFrom(1, 2)) })
const container = fc.record({
  name: fc.constantFrom('x', 'y'), image: maybe(fc.constantFrom('i', 'j')), tty: maybe(fc.constant(true)), command: maybe(fc.array(fc.constantFrom('p', 'q'), { minLength: 1, maxLength: 2 })),
  ports: maybe(some(port, (p) => `${p.containerPort} ${p.protocol ?? 'TCP'}`)),
})
const DEPLOYMENT: Subject = {
  schema: builtinSchema, model: 'Deployment', apiVersion: 'apps/v1', kind: 'Deployment', isCustom: false,
  shape: struct({
    metadata: struct({ labels: map, finalizers: { kind: 'set' } }, true),
    spec: struct({
      replicas: leaf, paused: leaf,
      template: struct({ spec: struct({ containers: { kind: 'list', keys: { name: undefined }, always: true, items: struct({ name: leaf, image: leaf, tty: leaf, command: leaf, resources: leaf, ports: { kind: 'list', keys: { containerPort: undefined, protocol: 'TCP' }, items: struct({ containerPort: leaf, protocol: leaf, hostPort: leaf }) } }) } }, true) }, true),
    }, true),
  }),
  body: fc.record({
    metadata: fc.record({ labels: maybe(labels), finalizers: maybe(some(fc.constantFrom('f/a', 'f/b'), (f) => f)) }),
    spec: maybe(fc.record({ replicas: maybe(fc.constantFrom(1, 2)), paused: maybe(fc.constant(true)), template: maybe(fc.record({ spec: fc.record({ containers: some(container, (c) => c.name) }) })) })),
  }),
}

const SHIRT: JSONSchemaProps = {
  type: 'object', properties: { spec: { type: 'object', properties: {
    color: { type: 'string' }, wash: { type: 'object', properties: { degrees: { type: 'integer' }, dry: { type: 'boolean' } } },
    whole: { type: 'object', 'x-kubernetes-map-type': 'atomic', properties: { a: { type: 'string' }, b: { type: 'string' } } },
    tags: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } }, sizes: { type: 'array', items: { type: 'integer' } },
    owners: { type: 'object', additionalProperties: { type: 'string' } },
    buttons: { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name', 'side'], items: { type: 'object', required: ['name'], properties: { name: { type: 'string' }, side: { type: 'string', default: 'left' }, size: { type: 'integer' } } } },
  } } },
} as unknown as JSONSchemaProps
const full = labels.map((members) => ({ ...members, always: '1' }))
const button = fc.record({ name: fc.constantFrom('x', 'y'), side: maybe(fc.constantFrom('left', 'right')), size: maybe(fc.constantFrom(1, 2)) })
const GVK = { group: 'example.com', version: 'v1', kind: 'Shirt' }
const CUSTOM: Subject = {
  schema: createCustomTypes('com.example.v1.Shirt', GVK, compileSchema(SHIRT), builtinSchema), model: 'com.example.v1.Shirt', apiVersion: 'example.com/v1', kind: 'Shirt', isCustom: true,
  shape: struct({
    metadata: struct({ labels: map }, true),
    spec: struct({ color: leaf, wash: struct({ degrees: leaf, dry: leaf }), whole: leaf, tags: { kind: 'set' }, sizes: leaf, owners: map, buttons: { kind: 'list', keys: { name: undefined, side: 'left' }, items: struct({ name: leaf, side: leaf, size: leaf }) } }),
  }),
  // Something stays in each map and list: what becomes of empty ones is no affair of sets.
  body: fc.record({
    metadata: fc.record({ labels: full }),
    spec: fc.record({
      color: maybe(fc.constantFrom('red', 'blue')), whole: maybe(fc.record({ a: fc.constantFrom('1', '2'), b: maybe(fc.constant('3')) })), sizes: maybe(fc.array(fc.constantFrom(1, 2), { minLength: 1, maxLength: 2 })),
      wash: fc.record({ degrees: fc.constantFrom(30, 60), dry: maybe(fc.boolean()) }), tags: some(fc.constantFrom('t', 'u'), (t) => t).map((tags) => [...tags, 'always']), owners: full,
      buttons: fc.uniqueArray(button, { maxLength: 3, selector: (b) => `${b.name} ${b.side ?? 'left'}` }).map((buttons) => [{ name: 'always' }, ...buttons]),
    }),
  }),
}

type Step = { kind: 'apply'; manager: string; body: Json; force: boolean } | { kind: 'update'; manager: string; body: Json }

/** Without members that are undefined or empty, as JSON from a client would be. */
const bare = (value: unknown): unknown => (typeof value !== 'object' || value === null || Array.isArray(value) ? (Array.isArray(value) ? value.map(bare) : value)
  : Object.fromEntries(Object.entries(value).map(([key, member]): [string, unknown] => [key, bare(member)]).filter(([, member]) => member !== undefined && !(typeof member === 'object' && member !== null && Object.keys(member).length === 0))))

const stepsOf = ({ body }: Subject): fc.Arbitrary<Step[]> => {
  const clean = body.map((b) => bare(b) as Json)
  const manager = fc.constantFrom('m', 'n', 'o')
  return fc.array(fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('apply' as const), manager, body: clean, force: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('update' as const), manager, body: clean }) },
  ), { minLength: 1, maxLength: 7 })
}

const objectOf = ({ apiVersion, kind }: Subject, body: Json): Json => ({ ...body, apiVersion, kind, metadata: { ...(body['metadata'] as Json | undefined), name: 'd' } })

function realOwners(object: KubeObject): Record<string, string[]> {
  const owners = [...(parseManagedFields(object.metadata?.managedFields) ?? new Map()).values()]
  return ownersOf(new Map(owners.map((o): [string, Set<string>] => [`${o.operation} ${o.manager}`, new Set(pathsOf(o.set).map((p) => p.join(JOIN)))])))
}

/** Go writes a container's resources though nobody has set them. */
function fill(nodes: Nodes): Nodes {
  for (const path of nodes.keys()) if (/f:containers\nk:[^\n]*$/.test(path)) nodes.set(`${path}${JOIN}f:resources`, { value: '{}', part: false, always: false })
  return nodes
}

function follow(subject: Subject, steps: readonly Step[]): void {
  const { schema, model, apiVersion, shape } = subject
  const twin = new Twin()
  let live: KubeObject | undefined
  for (const [i, step] of steps.entries()) {
    if (step.kind === 'update') {
      const next = structuredClone(objectOf(subject, step.body)) as KubeObject
      if (live?.metadata?.managedFields) next.metadata = { ...next.metadata, managedFields: live.metadata.managedFields }
      if (!subject.isCustom) conformObject(next, { schema, model })
      trackUpdate({ live, next, manager: step.manager, subresource: '', apiVersion, nowMs: i * 1000, schema, model })
      live = next
      twin.update(step.manager, fill(flatten(step.body, shape)))
    } else {
      const given = structuredClone(live)
      const result = apply({ live, config: objectOf(subject, step.body), manager: step.manager, force: step.force, subresource: '', apiVersion, nowMs: i * 1000, schema, model, ...(subject.isCustom && { conform: () => ({ ok: true as const, problems: [], keys: 0 }) }) })
      assert.deepStrictEqual(live, given, 'what is stored is not changed')
      const expected = twin.apply(step.manager, flatten(step.body, shape), step.force)
      assert.equal(result.ok, expected.ok, `step ${i}: ${JSON.stringify(expected)} ${JSON.stringify(result)}`)
      if (!result.ok) {
        const told = result.code === 409 ? result.causes.map(({ field, message }) => `${String(field)} ${/"([^"]*)"/.exec(message ?? '')?.[1]}`) : []
        const wanted = expected.ok ? [] : Object.entries(expected.conflicts).flatMap(([owner, paths]) => paths.map((path) => `${pathText(path.split(JOIN))} ${owner.split(' ')[1]}`))
        assert.deepStrictEqual(told.toSorted(), wanted.toSorted(), `conflicts of step ${i}`)
        continue
      }
      if (!result.changed) assert.deepStrictEqual(result.object, live, 'an apply that changes nothing leaves everything, times included')
      fill(twin.nodes)
      live = result.object
      // Again at once: nothing is left to do.
      const again = apply({ live, config: objectOf(subject, step.body), manager: step.manager, force: false, subresource: '', apiVersion, nowMs: 999_000, schema, model, ...(subject.isCustom && { conform: () => ({ ok: true as const, problems: [], keys: 0 }) }) })
      if (Object.keys(realOwners(live)).length > 0) assert.deepStrictEqual(again.ok && again.object, live, `step ${i} again`)
    }
    assert.deepStrictEqual(leavesOf(flatten(live, shape)), leavesOf(twin.nodes), `the object after step ${i}`)
    assert.deepStrictEqual(realOwners(live), ownersOf(twin.owners), `the owners after step ${i}`)
  }
}

describe('apply and update, compared with a naive twin', () => {
  for (const subject of [DEPLOYMENT, CUSTOM]) {
    test(`${subject.kind}: the same objects, owners and conflicts over any sequence of writes`, () => {
      fc.assert(fc.property(stepsOf(subject), (steps) => follow(subject, steps)), { numRuns: 500 })
    })
  }

  test('entries of one manager are one owner', () => {
    assert.equal(ownerId({ manager: 'm', operation: 'Apply', apiVersion: 'apps/v1', subresource: '' }), ownerId({ manager: 'm', operation: 'Apply', apiVersion: 'apps/v2', subresource: '' }))
  })
})
