import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { builtinSchema as schema } from '#api/schema/index.ts'
import type { Deployment, KubeObject } from '#api/types/index.ts'
import { conformObject } from '../../decode/conform.ts'
import { apply, extractApplied, type Applied, type ApplyRequest } from './apply.ts'
import { createCustomTypes } from '../../crd/schema/field-types.ts'
import { compileSchema } from '../../crd/schema/node.ts'
import { trackUpdate } from './track-update.ts'

const T = (seconds: number) => new Date(seconds * 1000).toISOString().replace('.000', '')
function request(config: object, more: Partial<ApplyRequest> = {}): Applied {
  return apply({ config: { apiVersion: 'apps/v1', kind: 'Deployment', ...config }, manager: 'me', force: false, subresource: '', apiVersion: 'apps/v1', nowMs: 0, schema, model: 'Deployment', ...more })
}
function applied(config: object, more: Partial<ApplyRequest> = {}): Deployment {
  const result = request(config, more)
  assert.ok(result.ok, result.ok ? '' : result.message)
  return result.object as Deployment
}
function updated(live: KubeObject | undefined, next: object, manager: string, nowMs = 0, subresource = ''): Deployment {
  const copy = structuredClone(next) as Deployment
  if (live?.metadata?.managedFields) copy.metadata = { ...copy.metadata, managedFields: live.metadata.managedFields }
  conformObject(copy, { schema, model: 'Deployment' })
  trackUpdate({ live, next: copy, manager, subresource, apiVersion: 'apps/v1', nowMs, schema, model: 'Deployment' })
  return copy
}
const named = (spec: object, metadata: object = {}) => ({ metadata: { name: 'd', namespace: 'n', ...metadata }, spec })
const withContainers = (...containers: object[]) => named({ template: { spec: { containers } } })
/** What Go writes of a Deployment's spec though nobody has set it. */
const UNSET = { strategy: {}, template: { metadata: {}, spec: {} } }
const containersOf = (d: Deployment) => d.spec?.template?.spec?.containers
const owners = (d: KubeObject) => (d.metadata?.managedFields ?? []).map((e) => [e.manager, e.operation, e.time, e.fieldsV1])

test('applying what is not there creates it, owned by the applier in upstream\'s form', () => {
  const config = named({ replicas: 1, template: { spec: { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80 }] }] } } }, { labels: { a: 'b' } })
  assert.deepStrictEqual(applied(config), {
    apiVersion: 'apps/v1', kind: 'Deployment', status: {},
    spec: { replicas: 1, strategy: {}, template: { metadata: {}, spec: { containers: [{ name: 'c', image: 'i', resources: {}, ports: [{ containerPort: 80 }] }] } } },
    metadata: {
      ...config.metadata,
      managedFields: [{
        manager: 'me', operation: 'Apply', apiVersion: 'apps/v1', time: T(0), fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:metadata': { 'f:labels': { 'f:a': {} } },
          'f:spec': { 'f:replicas': {}, 'f:template': { 'f:spec': { 'f:containers': { 'k:{"name":"c"}': { '.': {}, 'f:image': {}, 'f:name': {}, 'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } } } } } } },
        },
      }],
    },
  })
})

test('applying the same again changes nothing, not even the time', () => {
  const config = named({ replicas: 1 })
  const live = applied(config)
  assert.deepStrictEqual(request(config, { live, nowMs: 5000 }), { ok: true, object: live, changed: false })
})

test('two appliers share a field they agree on; it goes when the last one drops it', () => {
  const one = applied(named({ replicas: 1, paused: true }))
  const two = applied(named({ replicas: 1 }), { live: one, manager: 'you', nowMs: 1000 })
  // Whose apply changes nothing in the object gets no time.
  assert.deepStrictEqual(owners(two), [['you', 'Apply', undefined, { 'f:spec': { 'f:replicas': {} } }], ['me', 'Apply', T(0), { 'f:spec': { 'f:paused': {}, 'f:replicas': {} } }]])
  const three = applied(named({}), { live: two, nowMs: 2000 })
  assert.deepStrictEqual(three.spec, { replicas: 1, ...UNSET })
  const four = applied(named({}), { live: three, manager: 'you', nowMs: 3000 })
  assert.deepStrictEqual([four.spec?.replicas, owners(four).length], [undefined, 2])
})

test('a field changed against another owner is a conflict, in upstream\'s words; force takes it', () => {
  const live = updated(undefined, named({ replicas: 1 }), 'kubectl')
  assert.deepStrictEqual(request(named({ replicas: 3 }), { live }), {
    ok: false, code: 409, reason: 'Conflict', message: 'Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.replicas',
    causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "kubectl" using apps/v1', field: '.spec.replicas' }],
  })
  const forced = applied(named({ replicas: 3 }), { live, force: true, nowMs: 1000 })
  assert.deepStrictEqual([forced.spec, owners(forced)], [{ replicas: 3, ...UNSET }, [['me', 'Apply', T(1), { 'f:spec': { 'f:replicas': {} } }]]])
})

test('several conflicts are listed by owner', () => {
  const one = updated(undefined, withContainers({ name: 'c', image: '1', command: ['x'] }), 'zed')
  const two = applied(named({ replicas: 2, paused: true }), { live: one, manager: 'abe', nowMs: 1000 })
  const result = request({ ...named({ replicas: 9, paused: false, template: { spec: { containers: [{ name: 'c', image: '2' }] } } }) }, { live: two })
  assert.equal(result.ok ? '' : result.message, 'Apply failed with 3 conflicts: conflicts with "abe":\n- .spec.paused\n- .spec.replicas\nconflicts with "zed" using apps/v1:\n- .spec.template.spec.containers[name="c"].image')
})

test('an item no longer applied is removed, with what others have not claimed in it', () => {
  const one = applied(withContainers({ name: 'a', image: '1' }, { name: 'b', image: '1' }))
  // Defaults nobody owns go along with their item.
  const defaulted = structuredClone(one)
  containersOf(defaulted)?.forEach((c) => { c.imagePullPolicy = 'Always' })
  const two = applied(withContainers({ name: 'b', image: '1' }), { live: defaulted, nowMs: 1000 })
  assert.deepStrictEqual(containersOf(two), [{ name: 'b', image: '1', imagePullPolicy: 'Always', resources: {} }])
  // What another applier owns in it stays.
  const shared = applied(withContainers({ name: 'a', tty: true }), { live: one, manager: 'you', nowMs: 2000 })
  const three = applied(withContainers({ name: 'b', image: '1' }), { live: shared, nowMs: 3000 })
  assert.deepStrictEqual(containersOf(three), [{ name: 'a', tty: true, resources: {} }, { name: 'b', image: '1', resources: {} }])
})

test('items keep the configuration\'s order among themselves, the live object\'s own stay where they were', () => {
  const one = applied(withContainers({ name: 'a' }, { name: 'b' }, { name: 'c' }))
  const injected = structuredClone(one)
  containersOf(injected)?.splice(1, 0, { name: 'sidecar' })
  const two = applied(withContainers({ name: 'c' }, { name: 'new' }, { name: 'a' }, { name: 'b' }), { live: injected })
  assert.deepStrictEqual(containersOf(two)?.map((c) => c.name), ['sidecar', 'c', 'new', 'a', 'b'])
})

test('atomic lists and structs are owned whole', () => {
  const live = applied(named({ selector: { matchLabels: { a: '1' } }, template: { spec: { containers: [{ name: 'c', args: ['1'] }] } } }))
  const result = request(named({ selector: { matchLabels: { b: '1' } }, template: { spec: { containers: [{ name: 'c', args: ['1', '2'] }] } } }), { live, manager: 'you' })
  assert.ok(!result.ok && result.code === 409)
  assert.deepStrictEqual(result.causes.map((c) => c.field), ['.spec.selector', '.spec.template.spec.containers[name="c"].args'])
})

test('set lists are shared by value', () => {
  const one = applied(named({}, { finalizers: ['x/a'] }))
  const two = applied(named({}, { finalizers: ['x/b'] }), { live: one, manager: 'you', nowMs: 1000 })
  assert.deepStrictEqual(two.metadata?.finalizers, ['x/a', 'x/b'])
  assert.deepStrictEqual(applied(named({}), { live: two, nowMs: 2000 }).metadata?.finalizers, ['x/b'])
})

test('status applied to /status is owned there, spec sent along is not', () => {
  const live = applied(named({ replicas: 1 }))
  const two = applied({ ...named({ replicas: 7 }), status: { replicas: 1 } }, { live, manager: 'you', subresource: 'status', nowMs: 1000 })
  assert.deepStrictEqual(two.metadata?.managedFields?.[1], { manager: 'you', operation: 'Apply', apiVersion: 'apps/v1', time: T(1), fieldsType: 'FieldsV1', fieldsV1: { 'f:status': { 'f:replicas': {} } }, subresource: 'status' })
})

test('an object nobody tracked gets an owner before its first apply', () => {
  const live = named({ replicas: 1 })
  const conflict = request(named({ replicas: 2 }), { live })
  assert.equal(conflict.ok ? '' : conflict.message, 'Apply failed with 1 conflict: conflict with "before-first-apply" using apps/v1: .spec.replicas')
  assert.deepStrictEqual(owners(applied(named({ replicas: 1 }), { live })), [['me', 'Apply', T(0), { 'f:spec': { 'f:replicas': {} } }], ['before-first-apply', 'Update', T(0), { 'f:spec': { 'f:replicas': {} } }]])
})

test('kubectl may take over what it applied client-side, and keeps its annotation in step', () => {
  const annotation = 'kubectl.kubernetes.io/last-applied-configuration'
  const live = updated(undefined, named({ replicas: 1, paused: true }, { annotations: { [annotation]: JSON.stringify({ apiVersion: 'apps/v1', kind: 'Deployment', ...named({ replicas: 1 }) }) } }), 'kubectl-client-side-apply')
  const taken = applied(named({ replicas: 2 }), { live, manager: 'kubectl', nowMs: 1000 })
  assert.deepStrictEqual(taken.spec, { replicas: 2, paused: true, ...UNSET })
  assert.deepStrictEqual(JSON.parse(taken.metadata?.annotations?.[annotation] ?? ''), { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd', namespace: 'n' }, spec: { replicas: 2 } })
  const other = request(named({ replicas: 2 }), { live, manager: 'somebody' })
  assert.equal(other.ok, false)
  // Somebody has changed it since: then it is not kubectl's any more.
  const changed = { ...live, spec: { ...live.spec, replicas: 7 } } as Deployment
  assert.equal(request(named({ replicas: 2 }), { live: changed, manager: 'kubectl' }).ok, false)
  const notApplied = request(named({ paused: false }), { live, manager: 'kubectl' })
  assert.equal(notApplied.ok ? '' : notApplied.message, 'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.paused')
})

const REFUSED: [string, object, string][] = [
  ['unknown fields', named({ foo: 1 }), 'failed to create typed patch object (n/d; apps/v1, Kind=Deployment): .spec.foo: field not declared in schema'],
  ['wrong types', named({ replicas: 'x' }), 'failed to create typed patch object (n/d; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), got string'],
  ['duplicate items', withContainers({ name: 'a' }, { name: 'a' }), 'failed to create typed patch object (n/d; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name="a"]'],
  ['several faults at once', named({ template: { spec: { containers: [{ name: 'a', image: 1, tty: 'x', ports: {}, securityContext: [] }, 'b'] } } }), `failed to create typed patch object (n/d; apps/v1, Kind=Deployment): errors:
  .spec.template.spec.containers[name="a"].image: expected string, got &value.valueUnstructured{Value:1}
  .spec.template.spec.containers[name="a"].tty: expected boolean, got &{x}
  .spec.template.spec.containers[name="a"].ports: expected list, got &{map[]}
  .spec.template.spec.containers[name="a"].securityContext: expected map, got &{[]}
  .spec.template.spec.containers: element 1: associative list with keys may not have non-map elements`],
  ['managedFields', named({}, { managedFields: [] }), 'metadata.managedFields must be nil'],
]
for (const [name, config, message] of REFUSED) {
  test(`apply refuses ${name}`, () => assert.deepStrictEqual(request(config), { ok: false, code: 400, reason: 'BadRequest', message }))
}

test('items without a key', () => {
  const config = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'd' }, secrets: [{ kind: 'x' }] }
  const refused = apply({ config, live: undefined, manager: 'me', force: false, subresource: '', apiVersion: 'v1', nowMs: 0, schema, model: 'ServiceAccount' })
  assert.equal(refused.ok ? '' : refused.message, 'failed to create typed patch object (/d; /v1, Kind=ServiceAccount): .secrets: element 0: associative list with keys has an element that omits all key fields ["name"] (and doesn\'t have default values for any key fields)')
  // A key that Go always writes is its zero.
  assert.deepStrictEqual(owners(applied(withContainers({ image: 'a' }))), [['me', 'Apply', T(0), { 'f:spec': { 'f:template': { 'f:spec': { 'f:containers': { 'k:{"name":""}': { '.': {}, 'f:image': {} } } } } } }]])
})

test('duplicate items in the live object do not stop others from applying', () => {
  const live = { ...named({ template: { spec: { containers: [{ name: 'a' }, { name: 'a' }] } } }) }
  assert.equal(applied(named({ replicas: 1 }), { live }).spec?.replicas, 1)
})

test('what an applier extracts is what it applied', () => {
  const config = named({ replicas: 1, template: { spec: { containers: [{ name: 'c', image: 'i' }], securityContext: {} } } })
  const live = updated(applied(config), { ...applied(config), status: { replicas: 1 } }, 'controller', 1000, 'status')
  assert.deepStrictEqual(extractApplied({ object: live, manager: 'me', schema, model: 'Deployment' }), { apiVersion: 'apps/v1', kind: 'Deployment', ...config })
  assert.equal(extractApplied({ object: live, manager: 'nobody', schema, model: 'Deployment' }), undefined)
})

const container = fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), image: fc.constantFrom('1', '2'), tty: fc.constant(true), env: fc.uniqueArray(fc.record({ name: fc.constantFrom('x', 'y'), value: fc.constantFrom('1', '2') }, { noNullPrototype: true }), { minLength: 1, selector: (e) => e.name }) }, { requiredKeys: ['name'], noNullPrototype: true })
const anyConfig = fc.record({
  replicas: fc.option(fc.nat(3), { nil: undefined }),
  labels: fc.dictionary(fc.constantFrom('l', 'm'), fc.constantFrom('1', '2'), { noNullPrototype: true }),
  containers: fc.uniqueArray(container, { selector: (c) => c.name }),
}).map(({ replicas, labels, containers }) => JSON.parse(JSON.stringify(named({ replicas, ...(containers.length > 0 && { template: { spec: { containers } } }) }, Object.keys(labels).length > 0 ? { labels } : {}))) as Record<string, unknown>)

/** Everything in `part` is in `whole`; list items are found by name. */
function covers(whole: unknown, part: unknown): boolean {
  if (Array.isArray(part)) return part.every((p: { name: string }) => covers((whole as { name: string }[]).find((w) => w.name === p.name), p))
  if (typeof part === 'object' && part !== null) return Object.entries(part).every(([k, v]) => (Array.isArray(v) || (typeof v === 'object' && v !== null)) && Object.keys(v).length === 0 || covers((whole as Record<string, unknown> | undefined)?.[k], v))
  return whole === part
}

test('laws: a forced apply wins, is idempotent, and alone it leaves exactly what was applied last', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.constantFrom('me', 'you'), anyConfig), { minLength: 1, maxLength: 5 }), anyConfig, (history, last) => {
    let live: Deployment | undefined
    history.forEach(([manager, config], i) => { live = applied(config, { live, manager, force: true, nowMs: i * 1000 }) })
    const next = applied(last, { live, manager: 'me', force: true, nowMs: 10_000 })
    assert.ok(covers(next, last))
    assert.deepStrictEqual(request(last, { live: next, manager: 'me', nowMs: 20_000 }), { ok: true, object: next, changed: false })
    // The other withdraws: what is left is mine, in my order, except empty parents.
    const alone = applied(named({}), { live: next, manager: 'you', force: true, nowMs: 30_000 })
    const again = applied(last, { live: alone, manager: 'me', nowMs: 40_000 })
    assert.ok(covers(last, { spec: { template: { spec: { containers: containersOf(again) ?? [] } } } }), 'no container is left that nobody applies')
  }), { numRuns: 300 })
})

test('who leaves out of an atomic value what Go writes as null says something else than is stored', () => {
  const ingress = (resource: object) => ({ apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata: { name: 'i', namespace: 'n' }, spec: { defaultBackend: { resource } } })
  const more = { apiVersion: 'networking.k8s.io/v1', model: 'Ingress' }
  const live = applied(ingress({ kind: 'K', name: 'a' }), more)
  const again = request(ingress({ kind: 'K', name: 'a' }), { ...more, live, manager: 'you' })
  assert.deepStrictEqual(again.ok || again.message, 'Apply failed with 1 conflict: conflict with "me": .spec.defaultBackend.resource')
  assert.equal(request(ingress({ apiGroup: null, kind: 'K', name: 'a' }), { ...more, live, manager: 'you' }).ok, true)
})

test('null in place of a list with keys or of members leaves those that are there', () => {
  const live = applied(withContainers({ name: 'c', image: 'i' }))
  assert.deepStrictEqual(containersOf(applied(named({ template: { spec: { containers: null } } }), { live, manager: 'you' })), [{ name: 'c', image: 'i', resources: {} }])
})

test('free-form parts of custom resources are merged by member, and say what they were before', () => {
  const types = createCustomTypes('Foo', { group: 'x.io', version: 'v1', kind: 'Foo' }, compileSchema({ type: 'object', properties: { spec: { 'x-kubernetes-preserve-unknown-fields': true } } }), schema)
  const foo = (spec: unknown) => ({ apiVersion: 'x.io/v1', kind: 'Foo', metadata: { name: 'f' }, spec })
  const more: Partial<ApplyRequest> = { apiVersion: 'x.io/v1', schema: types, model: 'Foo', conform: () => ({ ok: true, problems: [], keys: 0 }) }
  const list = applied(foo([1]), more)
  const both = applied(foo({ a: 1 }), { ...more, live: list, manager: 'you', force: true })
  assert.deepStrictEqual([(both as unknown as { spec: unknown }).spec, owners(both)], [{ a: 1 }, [['you', 'Apply', T(0), { 'f:spec': { 'f:a': {} } }]]])
})
