/** Priority and fairness as a client meets it: who belongs where, who waits, who is refused, what is kept in place. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { FlowSchema, PriorityLevelConfiguration, Stored } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { createLog } from '#base/log.ts'
import { harness } from '../app.test-support.ts'
import { cluster, causes } from '../kinds/kinds.test-support.ts'
import { compileSchema, inMatchingOrder, type RequestDigest } from './classify.ts'
import { MANDATORY_FLOW_SCHEMAS, MANDATORY_PRIORITY_LEVELS, SUGGESTED_FLOW_SCHEMAS, SUGGESTED_PRIORITY_LEVELS } from './default-objects.ts'
import { FlowControl, type Turn } from './flow-control.ts'
import { decideDefaults } from './keep-defaults.ts'
import { RetryAfter } from './retry-after.ts'
import { shareSeats } from './seats.ts'
import { listSeats } from './work.ts'

const log = createLog({ format: 'text', level: 'error', nowMs: () => 0, write: () => {} })
const SCHEMAS = [...MANDATORY_FLOW_SCHEMAS, ...SUGGESTED_FLOW_SCHEMAS]
const LEVELS = [...MANDATORY_PRIORITY_LEVELS, ...SUGGESTED_PRIORITY_LEVELS]
const user = (name: string, ...groups: string[]) => ({ name, groups: [...groups, 'system:authenticated'] })
const resource = (verb: string, of: string, over: Partial<NonNullable<RequestDigest['resource']>> = {}): Omit<RequestDigest, 'user'> => {
  const [name = '', subresource = ''] = of.split('/')
  return { verb, path: '/', resource: { group: '', version: 'v1', resource: name, subresource, namespace: 'default', name: '', ...over } }
}
const lease = (verb: string) => resource(verb, 'leases', { group: 'coordination.k8s.io' })

describe('upstream\'s default flow schemas', () => {
  const schemas = inMatchingOrder(SCHEMAS.map(compileSchema))
  for (const [who, what, schema] of [
    [user('admin', 'system:masters'), resource('delete', 'pods'), 'exempt'],
    [user('system:anonymous'), { verb: 'get', path: '/readyz' }, 'probes'], [user('u'), { verb: 'get', path: '/readyz/ping' }, 'global-default'],
    [user('system:node:a', 'system:nodes'), lease('update'), 'system-node-high'], [user('system:node:a', 'system:nodes'), resource('patch', 'nodes/status', { namespace: '' }), 'system-node-high'],
    [user('system:node:a', 'system:nodes'), resource('create', 'events'), 'system-nodes'], [user('system:node:a', 'system:nodes'), resource('get', 'secrets'), 'system-nodes'],
    [user('system:kube-scheduler'), lease('update'), 'system-leader-election'], [user('system:kube-scheduler'), resource('list', 'pods'), 'kube-scheduler'],
    [user('system:kube-controller-manager'), resource('update', 'endpoints'), 'kube-controller-manager'], [user('system:kube-controller-manager'), resource('list', 'nodes', { namespace: '' }), 'kube-controller-manager'],
    [user('system:serviceaccount:kube-system:coredns', 'system:serviceaccounts'), lease('get'), 'system-leader-election'],
    [user('system:serviceaccount:kube-system:coredns', 'system:serviceaccounts'), resource('list', 'services'), 'kube-system-service-accounts'],
    [user('system:serviceaccount:shop:default', 'system:serviceaccounts'), resource('list', 'services'), 'service-accounts'], [user('alice'), resource('list', 'pods'), 'global-default'],
    [user('alice'), resource('create', 'events', { group: 'events.k8s.io' }), 'global-default'], [user('alice'), resource('list', 'events'), 'global-default'],
  ] as const) it(`${who.name} ${what.verb} ${'resource' in what ? (what.resource?.resource ?? '') : what.path}: ${schema}`, () => {
    assert.equal(schemas.find((s) => s.matches({ ...what, user: who }))?.name, schema)
  })
  it('share 600 seats as upstream does', () => {
    const seats = shareSeats(LEVELS, 600)
    assert.deepEqual(Object.fromEntries([...seats].map(([name, s]) => [name, [s.nominal, s.min]])), {
      'catch-all': [13, 13], exempt: [0, 0], system: [74, 50], 'node-high': [98, 73], 'leader-election': [25, 25], 'workload-high': [98, 49], 'workload-low': [245, 24], 'global-default': [49, 24],
    })
  })
})

it('lists take seats by what they will hold', () => {
  const list = { single: false, limit: undefined, selective: false, fromCache: true, stored: { count: 1_000, meanBytes: 500 } }
  assert.equal(listSeats(list, 100), 5)
  assert.equal(listSeats({ ...list, limit: 100 }, 100), 1)
  assert.equal(listSeats({ ...list, stored: { count: 100_000, meanBytes: 500 } }, 100), 10)
  assert.equal(listSeats({ ...list, fromCache: false, stored: { count: 100_000, meanBytes: 500 } }, 24), 24)
  assert.equal(listSeats({ ...list, fromCache: false, selective: true, limit: 10 }, 100), 3)
  assert.equal(listSeats({ ...list, single: true }, 100), 1)
  assert.equal(listSeats({ ...list, stored: undefined }, 100), 1)
})

const level = (name: string, shares: number, queueLengthLimit?: number): PriorityLevelConfiguration => ({
  metadata: { name, uid: `uid-${name}` }, spec: { type: 'Limited', limited: { nominalConcurrencyShares: shares, lendablePercent: 0, borrowingLimitPercent: 0, limitResponse: queueLengthLimit === undefined ? { type: 'Reject' } : { type: 'Queue', queuing: { queues: 1, handSize: 1, queueLengthLimit } } } },
})
const schema = (name: string, to: string, precedence: number, group: string): FlowSchema => ({
  metadata: { name, uid: `uid-fs-${name}` },
  spec: { priorityLevelConfiguration: { name: to }, matchingPrecedence: precedence, distinguisherMethod: { type: 'ByUser' }, rules: [{ subjects: [{ kind: 'Group', group: { name: group } }], resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true }], nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }] }] },
})

it('the more are refused, the longer they are told to wait', () => {
  const retry = new RetryAfter()
  const storm = (fromMs: number, count: number) => Array.from({ length: count }, (_, i) => retry.refused(fromMs + i)).at(-1)
  assert.deepEqual([storm(0, 10), storm(1_100, 10), storm(3_200, 20), storm(7_300, 40), storm(15_400, 80), storm(31_500, 200), storm(64_000, 200)], [1, 2, 4, 8, 16, 32, 32])
  assert.deepEqual([storm(100_000, 1), storm(140_000, 1), storm(180_000, 1)], [32, 31, 30])
})

describe('a level that is full', () => {
  const one = (queueLengthLimit?: number) => {
    const clock = new FakeClock()
    const flow = new FlowControl({ clock, log, serverSeats: 2, waitMsMax: 15_000 })
    flow.configure([schema('all', 'small', 10, 'system:authenticated')], [level('small', 5, queueLengthLimit)])
    const enter = (signal = new AbortController().signal) => flow.enter({ ...resource('get', 'pods'), user: user('alice') }, () => 1, signal)
    return { flow, clock, enter }
  }
  const leave = (turn: Turn) => { if (turn.ok) turn.leave() }
  it('without any share is a jail: requests wait until their time is over', async () => {
    const { clock, flow } = one()
    flow.configure([schema('all', 'jail', 10, 'system:authenticated')], [level('jail', 0, 1)])
    const enter = () => flow.enter({ ...resource('get', 'pods'), user: user('alice') }, () => 1, new AbortController().signal)
    const [first, second] = [enter(), enter()]
    assert.ok(first instanceof Promise && !(second instanceof Promise))
    assert.deepEqual(!second.ok && second.why, 'queue-full')
    const seats = () => flow.metrics().flatMap((metric) => [...metric.lines()]).find((line) => line.startsWith('apiserver_flowcontrol_current_inqueue_seats{flow_schema="all",priority_level="jail"}'))
    assert.equal(seats()?.split(' ')[1], '1')
    await clock.advance(15_000)
    const turn = await first
    assert.deepEqual([!turn.ok && turn.why, seats()?.split(' ')[1]], ['time-out', '0'])
  })

  it('has requests wait in line, in order, and refuses what finds the line full', async () => {
    const { enter, flow } = one(2)
    const first = enter()
    assert.ok(!(first instanceof Promise) && first.ok)
    assert.deepEqual([first.flowSchemaUid, first.priorityLevelUid], ['uid-fs-all', 'uid-small'])
    const [second, third, fourth] = [enter(), enter(), enter()]
    assert.ok(second instanceof Promise && third instanceof Promise && !(fourth instanceof Promise))
    assert.deepEqual([fourth.ok, !fourth.ok && fourth.why], [false, 'queue-full'])
    leave(first)
    leave(first)
    const turn = await second
    assert.ok(turn.ok)
    leave(turn)
    leave(await third)
    assert.equal(flow.levels.find((l) => l.name === 'small')?.queueSet?.isIdle, true)
  })
  it('lets nobody wait longer than the limit, or after the client has gone', async () => {
    const { enter, clock } = one(5)
    const first = enter() as Turn
    const gone = new AbortController()
    const [late, left] = [enter(), enter(gone.signal)]
    gone.abort()
    assert.deepEqual(await left, { ok: false, flowSchemaUid: 'uid-fs-all', priorityLevelUid: 'uid-small', why: 'cancelled', retryAfterSeconds: 1 })
    await clock.advance(15_000)
    assert.deepEqual(await late, { ok: false, flowSchemaUid: 'uid-fs-all', priorityLevelUid: 'uid-small', why: 'time-out', retryAfterSeconds: 1 })
    leave(first)
    assert.ok(!(enter() instanceof Promise))
  })
  it('keeps serving who waits when its configuration goes, and forgets it then', async () => {
    const { enter, flow } = one(5)
    const first = enter() as Turn
    const second = enter()
    flow.configure([], [])
    assert.deepEqual(flow.levels.map((l) => [l.name, l.quiescing]), [['catch-all', false], ['exempt', false], ['small', true]])
    leave(first)
    leave(await second)
    assert.deepEqual(flow.levels.map((l) => l.name), ['catch-all', 'exempt'])
  })
})

it('seats that others do not need are lent at the first queue', async () => {
  const clock = new FakeClock()
  const flow = new FlowControl({ clock, log, serverSeats: 60, waitMsMax: 15_000 })
  flow.configure([schema('all', 'busy', 10, 'system:authenticated')], [level('idle', 25), level('busy', 30, 100)].map((l) => ({ ...l, spec: { type: 'Limited', limited: { ...l.spec?.limited, lendablePercent: 80, borrowingLimitPercent: 100 } } })))
  const turns = Array.from({ length: 50 }, () => flow.enter({ ...resource('get', 'pods'), user: user('alice') }, () => 1, new AbortController().signal))
  assert.ok(turns.filter((t) => !(t instanceof Promise)).length > 30, 'the level has 30 of its own')
  await clock.advance(10_000)
  const settled = await Promise.all(turns.map((t) => Promise.race([t, Promise.resolve(undefined)])))
  assert.ok(settled.filter((t) => t?.ok).length > 45)
  flow.close()
})

describe('over the API', () => {
  it('429 says when to come back and where one belongs; masters are never held up', async () => {
    const clock = new FakeClock()
    const flowControl = new FlowControl({ clock, log, serverSeats: 1, waitMsMax: 1_000 })
    flowControl.configure([schema('all', 'small', 10, 'system:authenticated')], [level('small', 5)])
    const gate = Promise.withResolvers<undefined>()
    const arrived = Promise.withResolvers<void>()
    const slow = { name: 'Test', validate: () => { arrived.resolve(); return gate.promise } }
    const h = harness({ flowControl, admission: [slow], authorizer: { authorize: async () => ({ allowed: true, reason: '' }), rulesFor: async () => ({ resourceRules: [], nonResourceRules: [], incomplete: false }) } })
    const path = '/api/v1/namespaces/default/configmaps'
    const weak = { authorization: 'Bearer weak' }
    const held = h.call('POST', path, { metadata: { name: 'a' } }, weak)
    await arrived.promise
    const refused = await h.call('GET', path, undefined, weak)
    assert.deepEqual([refused.status, refused.json['reason'], refused.json['message'], refused.headers['retry-after'], refused.headers['x-kubernetes-pf-flowschema-uid'], refused.headers['x-kubernetes-pf-prioritylevel-uid']], [429, 'TooManyRequests', 'Too many requests, please try again later.', '1', 'uid-fs-all', 'uid-small'])
    assert.equal((await h.call('GET', path)).status, 200)
    assert.match((await h.call('GET', '/debug/api_priority_and_fairness/dump_priority_levels')).text, /^small, +0, +false, +false, +0, +1, +1, +1, +0, +0$/m)
    assert.match((await h.call('GET', '/metrics')).text, /^apiserver_flowcontrol_rejected_requests_total\{flow_schema="all",priority_level="small",reason="concurrency-limit"\} 1$/m)
    // Who asks is exempt, and runs.
    assert.match((await h.call('GET', '/debug/api_priority_and_fairness/dump_priority_levels')).text, /^exempt, +0, +false, +false, +0, +1, +\d+, +0, +0, +0$/m)
    assert.doesNotMatch((await h.call('GET', '/debug/api_priority_and_fairness/dump_queues')).text, /exempt/)
    gate.resolve(undefined)
    assert.equal((await held).status, 201)
    assert.equal((await h.call('GET', path, undefined, weak)).status, 200)
    // A watch takes a seat only while it begins.
    const watch = await h.watch(`${path}?watch=1`, weak)
    assert.equal((await h.call('GET', path, undefined, weak)).status, 200)
    watch.stop()
    h.api.close()
  })
})

describe('the defaults', () => {
  const stored = (object: FlowSchema, over: { annotation?: string; generation?: number; precedence?: number } = {}) => {
    const { annotation = 'true', generation = 1, precedence } = over
    return { ...object, spec: { ...object.spec, ...(precedence !== undefined && { matchingPrecedence: precedence }) }, metadata: { ...object.metadata, uid: 'u', generation, annotations: annotation === '' ? {} : { 'apf.kubernetes.io/autoupdate-spec': annotation } } } as Stored<FlowSchema>
  }
  const [mandatory, suggested] = [SCHEMAS[1] as FlowSchema, SCHEMAS[2] as FlowSchema]
  const decide = (...objects: Stored<FlowSchema>[]) => decideDefaults(objects, [mandatory], [suggested]).map((a) => (a.kind === 'update' ? `update ${a.object.metadata?.name ?? ''} ${a.object.metadata?.annotations?.['apf.kubernetes.io/autoupdate-spec'] ?? ''} ${a.object.spec?.matchingPrecedence ?? ''}` : a.kind === 'create' ? `create ${a.object.metadata?.name ?? ''}` : `delete ${a.name}`))
  it('are made where they are missing', () => assert.deepEqual(decide(), ['create catch-all', 'create system-nodes']))
  it('stay untouched where they are right', () => assert.deepEqual(decide(stored(mandatory), stored(suggested)), []))
  it('follow upstream while annotated so; an admin\'s stay', () => {
    assert.deepEqual(decide(stored(mandatory), stored(suggested, { precedence: 7, generation: 2 })), ['update system-nodes true 500'])
    assert.deepEqual(decide(stored(mandatory), stored(suggested, { precedence: 7, generation: 2, annotation: 'false' })), [])
  })
  it('without an annotation: the admin\'s once the spec was changed', () => {
    assert.deepEqual(decide(stored(mandatory), stored(suggested, { precedence: 7, generation: 2, annotation: '' })), ['update system-nodes false 7'])
    assert.deepEqual(decide(stored(mandatory), stored(suggested, { precedence: 7, generation: 1, annotation: '' })), ['update system-nodes true 500'])
  })
  it('mandatory ones are bent back whatever they say; defaults of old releases go', () => {
    assert.deepEqual(decide(stored(mandatory, { precedence: 9, annotation: 'false' }), stored(suggested)), ['update catch-all true 10000'])
    assert.deepEqual(decide(stored(mandatory), stored(suggested), stored({ ...suggested, metadata: { name: 'old' } })), ['delete old'])
    assert.deepEqual(decide(stored(mandatory), stored(suggested), stored({ ...suggested, metadata: { name: 'mine' } }, { annotation: 'false' })), [])
  })
})

describe('validation', () => {
  const path = '/apis/flowcontrol.apiserver.k8s.io/v1'
  const rules = [{ subjects: [{ kind: 'User', user: { name: 'a' } }], nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/a'] }] }]
  const c = cluster()
  for (const [spec, expected] of [
    [{ priorityLevelConfiguration: { name: '' }, rules }, ['spec.priorityLevelConfiguration.name: Required value: must reference a priority level']],
    [{ priorityLevelConfiguration: { name: 'a' }, matchingPrecedence: 10_001, rules }, ['spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000']],
    [{ priorityLevelConfiguration: { name: 'a' }, matchingPrecedence: 1, rules }, ["spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1"]],
    [{ priorityLevelConfiguration: { name: 'a' }, rules: [{ ...rules[0], subjects: [] }] }, ['spec.rules[0].subjects: Required value: subjects must contain at least one value']],
    [{ priorityLevelConfiguration: { name: 'a' }, rules: [{ ...rules[0], subjects: [{ kind: 'Group', user: { name: 'x' } }] }] }, ["spec.rules[0].subjects[0].group: Required value: group is required when subject kind is 'Group'", "spec.rules[0].subjects[0].user: Forbidden: user is forbidden when subject kind is not 'User'"]],
    [{ priorityLevelConfiguration: { name: 'a' }, rules: [{ ...rules[0], nonResourceRules: [{ verbs: ['get', '*'], nonResourceURLs: ['a', '/b*', '/c//d'] }] }] }, [
      'spec.rules[0].nonResourceRules[0].verbs: Invalid value: ["get","*"]: if \'*\' is present, must not specify other verbs', 'spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "a": must start with slash',
      'spec.rules[0].nonResourceRules[0].nonResourceURLs[1]: Invalid value: "/b*": wildcard can only do suffix matching', 'spec.rules[0].nonResourceRules[0].nonResourceURLs[2]: Invalid value: "/c//d": must not contain double slash']],
    [{ priorityLevelConfiguration: { name: 'a' }, rules }, []],
  ] as const) it(`FlowSchema: ${expected[0] ?? 'fine'}`, async () => {
    const answer = await c.call('POST', `${path}/flowschemas`, { metadata: { generateName: 'x-' }, spec })
    assert.deepEqual(expected.length === 0 ? [answer.status, answer.json['spec']?.['matchingPrecedence']] : causes(answer), expected.length === 0 ? [201, 1000] : expected)
  })
  for (const [name, spec, expected] of [
    ['x', { type: 'Exempt' }, ["spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'"]],
    ['x', { type: 'Limited' }, ['spec.limited: Required value: must not be empty when type is Limited']],
    ['x', { type: 'Limited', limited: { limitResponse: { type: 'Queue' } } }, ['spec.limited.limitResponse.queuing: Required value: must not be empty if limited.limitResponse.type is Limited']],
    ['x', { type: 'Limited', limited: { lendablePercent: 101, limitResponse: { type: 'Reject' } } }, ['spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive']],
    ['x', { type: 'Limited', limited: { limitResponse: { type: 'Queue', queuing: { queues: 4, handSize: 5 } } } }, ['spec.limited.limitResponse.queuing.handSize: Invalid value: 5: should not be greater than queues (4)']],
    ['x', { type: 'Limited', limited: { limitResponse: { type: 'Queue', queuing: { queues: 512, handSize: 8 } } } }, ['spec.limited.limitResponse.queuing.handSize: Invalid value: 8: required entropy bits of deckSize 512 and handSize 8 should not be greater than 60']],
  ] as const) it(`PriorityLevelConfiguration: ${expected[0]}`, async () => {
    assert.deepEqual(causes(await c.call('POST', `${path}/prioritylevelconfigurations`, { metadata: { name }, spec })), expected)
  })
  it('what is left out is what upstream takes it for', async () => {
    const { json } = await c.call('POST', `${path}/prioritylevelconfigurations`, { metadata: { name: 'ok' }, spec: { type: 'Limited', limited: { limitResponse: { type: 'Queue', queuing: {} } } } })
    assert.deepEqual(json['spec'] as unknown, { type: 'Limited', limited: { nominalConcurrencyShares: 30, lendablePercent: 0, limitResponse: { type: 'Queue', queuing: { queues: 64, handSize: 8, queueLengthLimit: 50 } } } })
  })
})
