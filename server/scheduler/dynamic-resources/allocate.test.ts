/** Which devices claims are given: tables over what drivers tell, and laws under generated pools. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import type { AllocationResult, CapacityRequestPolicy, Device, DeviceClaim, DeviceClass, DeviceRequest, ResourceSlice, ResourceSliceSpec, Stored } from '#api/types/index.ts'
import { parseQuantity } from '#api/types/quantity.ts'
import { seededRandom } from '#base/random.ts'
import { node, pod, snapshot } from '../build.test-support.ts'
import { schedule, unschedulableMessage } from '../schedule.ts'
import { dynamicResourcesScore } from '../scores/dynamic-resources.ts'
import { allocate } from './allocate.ts'
import type { Claim, DeviceLookup } from './device-lookup.ts'
import { devicesInUse } from './in-use.ts'
import { poolsOf } from './pools.ts'
import { loadSelectors, type SelectorEngine } from './selectors.ts'

const DRIVER = 'gpu.example.com'
const NOW = Date.UTC(2026, 0, 1, 12)
let selectors: SelectorEngine
before(async () => { selectors = await loadSelectors() })

const meta = (name: string) => ({ name, namespace: 'default', uid: `uid-${name}`, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' })
const slice = (name: string, devices: readonly Device[], { nodeName, ...more }: Partial<ResourceSliceSpec> = { nodeName: 'n1' }): Stored<ResourceSlice> => ({ metadata: meta(name), spec: { driver: DRIVER, pool: { name: 'p', generation: 1, resourceSliceCount: 1 }, devices: [...devices], ...(nodeName !== undefined && { nodeName }), ...more } })
const gpu = (name: string, more: Partial<Device> = {}): Device => ({ name, ...more })
const claimOf = (name: string, devices: DeviceClaim, status: Claim['status'] = {}): Claim => ({ metadata: meta(name), spec: { devices }, status })
const exactly = (name: string, more: Partial<NonNullable<DeviceRequest['exactly']>> = {}): DeviceRequest => ({ name, exactly: { deviceClassName: 'any', allocationMode: 'ExactCount', count: 1, ...more } })
const cel = (expression: string) => [{ cel: { expression } }]
const attributes = (of: Record<string, string | number | boolean>): Partial<Device> => ({ attributes: Object.fromEntries(Object.entries(of).map(([name, value]) => [name, typeof value === 'string' ? { string: value } : typeof value === 'number' ? { int: value } : { bool: value }])) })
const CLASSES: Record<string, DeviceClass['spec']> = {
  any: {}, red: { selectors: cel(`device.attributes["${DRIVER}"].colour == "red"`) }, tuned: { config: [{ opaque: { driver: DRIVER, parameters: { speed: 1 } } }] }, broken: { selectors: cel('device.driver +') }, absent: { selectors: cel('device.attributes["x"].y == 1') },
}
const lookup = (): Pick<DeviceLookup, 'deviceClass' | 'deviceClasses' | 'selectors'> => ({ selectors, deviceClass: (name) => (name in CLASSES ? { metadata: meta(name), spec: CLASSES[name] ?? {} } : undefined), deviceClasses: () => Object.entries(CLASSES).map(([name, spec]) => ({ metadata: meta(name), spec })) })

function found(slices: readonly Stored<ResourceSlice>[], claims: readonly Claim[], { inUse = [], shares = {}, on = 'n1', labels = {} }: { inUse?: readonly string[]; shares?: Record<string, Record<string, string>>; on?: string; labels?: Record<string, string> } = {}) {
  return allocate({ node: node(on, { labels }).node, claims, pools: poolsOf(slices), inUse: { whole: new Set(inUse.map((d) => `${DRIVER}/p/${d}`)), shares: new Map(Object.entries(shares).map(([d, used]) => [`${DRIVER}/p/${d}`, new Map(Object.entries(used).map(([name, amount]) => [name, parseQuantity(amount).nano]))])) }, lookup: lookup(), newShareId: () => 'share' })
}
/** `request: device`, claim by claim; or why not. */
function given(...asked: Parameters<typeof found>): string {
  const allocation = found(...asked)
  return allocation.ok ? allocation.results.map((r) => (r.devices?.results ?? []).map(({ request, device, adminAccess, consumedCapacity }) => `${request}: ${device}${adminAccess ? '!' : ''}${consumedCapacity ? ` ${Object.entries(consumedCapacity).map(([name, amount]) => `${name}=${amount}`).join(' ')}` : ''}`).join(', ')).join(' | ') : allocation.message
}
const one = (...requests: DeviceRequest[]) => [claimOf('c', { requests })]
const AB = [slice('s', [gpu('a', attributes({ colour: 'blue', slot: 1 })), gpu('b', attributes({ colour: 'red', slot: 1 })), gpu('c', attributes({ colour: 'red', slot: 2 }))])]
const NONE = 'cannot allocate all claims'
const taint = (effect: string) => ({ taints: [{ key: 'hot', value: 'yes', effect }] })
const counters = (amount: string) => ({ consumesCounters: [{ counterSet: 'chip', counters: { memory: { value: amount } } }] })
const PARTS = [slice('sets', [], { nodeName: 'n1', pool: { name: 'p', generation: 1, resourceSliceCount: 2 }, sharedCounters: [{ name: 'chip', counters: { memory: { value: '40Gi' } } }] }), slice('parts', [gpu('whole', counters('40Gi')), gpu('half1', counters('20Gi')), gpu('half2', counters('20Gi'))], { nodeName: 'n1', pool: { name: 'p', generation: 1, resourceSliceCount: 2 } })]

const shared = (name: string, requestPolicy?: CapacityRequestPolicy, value = '40Gi'): Device => gpu(name, { allowMultipleAllocations: true, capacity: { memory: { value, ...(requestPolicy && { requestPolicy }) } } })
const share = (name: string, memory: string, more: Partial<NonNullable<DeviceRequest['exactly']>> = {}) => exactly(name, { capacity: { requests: { memory } }, ...more })
const SHARED = [slice('s', [shared('a')])]
const [SETS] = PARTS
const SHARED_PARTS = [...(SETS ? [SETS] : []), slice('parts', [{ ...shared('a'), ...counters('20Gi') }, gpu('half', counters('20Gi'))], { nodeName: 'n1', pool: { name: 'p', generation: 1, resourceSliceCount: 2 } })]

const table: [string, () => string, string][] = [
  ['the first that is free', () => given(AB, one(exactly('r')), { inUse: ['a'] }), 'r: b'],
  ['none where all are in use', () => given(AB, one(exactly('r')), { inUse: ['a', 'b', 'c'] }), NONE],
  ['as many as are asked for', () => given(AB, one(exactly('r', { count: 2 }))), 'r: a, r: b'],
  ['not more than there are', () => given(AB, one(exactly('r', { count: 4 }))), NONE],
  ['those of the class alone', () => given(AB, one(exactly('r', { deviceClassName: 'red' }))), 'r: b'],
  ['those that are selected', () => given(AB, one(exactly('r', { selectors: cel(`device.attributes["${DRIVER}"].slot == 2`) }))), 'r: c'],
  ['no device twice, for several requests and claims', () => given(AB, [claimOf('c', { requests: [exactly('x'), exactly('y')] }), claimOf('d', { requests: [exactly('z')] })]), 'x: a, y: b | z: c'],
  ['another choice where the first leaves none for those who come later', () => given(AB, one(exactly('x'), exactly('y', { selectors: cel(`device.attributes["${DRIVER}"].colour == "blue"`) }))), 'x: b, y: a'],
  ['all that match', () => given(AB, one(exactly('r', { deviceClassName: 'red', allocationMode: 'All' }))), 'r: b, r: c'],
  ['all, or none where one of them is in use', () => given(AB, one(exactly('r', { deviceClassName: 'red', allocationMode: 'All' })), { inUse: ['c'] }), NONE],
  ['none where all of nothing are asked for', () => given([slice('s', [])], one(exactly('r', { allocationMode: 'All' }))), NONE],
  ['an administrator sees what others have', () => given(AB, one(exactly('r', { adminAccess: true, allocationMode: 'All' })), { inUse: ['a', 'b'] }), 'r: a!, r: b!, r: c!'],
  ['the first alternative that can be had', () => given(AB, one({ name: 'r', firstAvailable: [{ name: 'five', deviceClassName: 'any', allocationMode: 'ExactCount', count: 5 }, { name: 'red', deviceClassName: 'red', allocationMode: 'ExactCount', count: 1 }] })), 'r/red: b'],
  ['those that agree in an attribute', () => given(AB, [claimOf('c', { requests: [exactly('x', { count: 2 })], constraints: [{ matchAttribute: `${DRIVER}/colour` }] })]), 'x: b, x: c'],
  ['those that agree, of the requests that are named', () => given(AB, [claimOf('c', { requests: [exactly('x'), exactly('y'), exactly('z')], constraints: [{ requests: ['x', 'y'], matchAttribute: `${DRIVER}/colour` }] })]), 'x: b, y: c, z: a'],
  ['those that differ in an attribute', () => given(AB, [claimOf('c', { requests: [exactly('x', { count: 2 })], constraints: [{ distinctAttribute: `${DRIVER}/slot` }] })]), 'x: a, x: c'],
  ['none that does not have the attribute', () => given([slice('s', [gpu('a')])], [claimOf('c', { requests: [exactly('x')], constraints: [{ matchAttribute: `${DRIVER}/colour` }] })]), NONE],
  ['an attribute of a number is none of a text', () => given([slice('s', [gpu('a', attributes({ v: 1 })), gpu('b', attributes({ v: '1' }))])], [claimOf('c', { requests: [exactly('x', { count: 2 })], constraints: [{ matchAttribute: `${DRIVER}/v` }] })]), NONE],
  ['none that is tainted', () => given([slice('s', [gpu('a', taint('NoSchedule')), gpu('b', taint('NoExecute')), gpu('c', taint('None'))])], one(exactly('r'))), 'r: c'],
  ['one whose taint is tolerated', () => given([slice('s', [gpu('a', taint('NoSchedule'))])], one(exactly('r', { tolerations: [{ key: 'hot', operator: 'Exists' }] }))), 'r: a'],
  ['not one whose taint has another value', () => given([slice('s', [gpu('a', taint('NoSchedule'))])], one(exactly('r', { tolerations: [{ key: 'hot', operator: 'Equal', value: 'no' }] }))), NONE],
  ['parts of a whole, as long as their sum fits', () => given(PARTS, one(exactly('r', { count: 2 }))), 'r: half1, r: half2'],
  ['no part of what is in use as a whole', () => given(PARTS, one(exactly('r')), { inUse: ['whole'] }), NONE],
  ['not the whole where a part is in use', () => given(PARTS, one(exactly('r')), { inUse: ['half1'] }), 'r: half2'],
  ['of the latest generation alone', () => given([...AB, slice('t', [gpu('new')], { nodeName: 'n1', pool: { name: 'p', generation: 2, resourceSliceCount: 1 } })], one(exactly('r'))), 'r: new'],
  ['of no pool that is not all there', () => given([slice('s', [gpu('a')], { nodeName: 'n1', pool: { name: 'p', generation: 1, resourceSliceCount: 2 } })], one(exactly('r'))), NONE],
  ['not all of a pool that is not all there', () => given([slice('s', [gpu('a')], { nodeName: 'n1', pool: { name: 'p', generation: 1, resourceSliceCount: 2 } })], one(exactly('r', { allocationMode: 'All' }))), `claim default/c, request r: asks for all devices, but resource pool ${DRIVER}/p is currently being updated`],
  ['of no pool that names a device twice', () => given([slice('s', [gpu('a'), gpu('a')])], one(exactly('r'))), 'invalid resource pools were encountered'],
  ['of no pool whose devices take of what nobody has', () => given([slice('s', [gpu('a', counters('1'))])], one(exactly('r'))), 'invalid resource pools were encountered'],
  ['not of another node', () => given(AB, one(exactly('r')), { on: 'n2' }), NONE],
  ['of a network that the node reaches', () => given([slice('s', [gpu('a')], { nodeSelector: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'rack', operator: 'In', values: ['7'] }] }] } })], one(exactly('r')), { on: 'n2', labels: { rack: '7' } }), 'r: a'],
  ['of those in a slice, the node\'s', () => given([slice('s', [gpu('a', { nodeName: 'n2' }), gpu('b', { allNodes: true })], { perDeviceNodeSelection: true })], one(exactly('r'))), 'r: b'],
  ['shares of one device, as much as each asks for', () => given(SHARED, [claimOf('c', { requests: [share('x', '10Gi'), share('y', '20Gi')] }), claimOf('d', { requests: [share('z', '10Gi')] })]), 'x: a memory=10Gi, y: a memory=20Gi | z: a memory=10Gi'],
  ['no share of what others have', () => given(SHARED, one(share('r', '20Gi')), { shares: { a: { memory: '30Gi' } } }), NONE],
  ['a share of what others left', () => given(SHARED, one(share('r', '10Gi')), { shares: { a: { memory: '30Gi' } } }), 'r: a memory=10Gi'],
  ['shares of several devices for one request, none twice', () => given([slice('s', [shared('a'), shared('b')])], one(share('r', '10Gi', { count: 2 }))), 'r: a memory=10Gi, r: b memory=10Gi'],
  ['another choice where a share leaves too little', () => given([slice('s', [shared('a'), shared('b', {}, '20Gi')])], one(share('x', '10Gi'), share('y', '40Gi'))), 'x: b memory=10Gi, y: a memory=40Gi'],
  ['all of it for who does not say how much', () => given(SHARED, one(exactly('r'))), 'r: a memory=40Gi'],
  ['what the device gives who does not say how much', () => given([slice('s', [shared('a', { default: '5Gi' })])], one(exactly('r'))), 'r: a memory=5Gi'],
  ['no share of what it does not have', () => given(SHARED, one(exactly('r', { capacity: { requests: { cores: '1' } } }))), NONE],
  ['no share of what somebody has as a whole', () => given(SHARED, one(share('r', '1Gi')), { inUse: ['a'] }), NONE],
  ['not as a whole what somebody has a share of', () => given([slice('s', [gpu('a')])], one(exactly('r')), { shares: { a: {} } }), NONE],
  ['at least the least share', () => given([slice('s', [shared('a', { default: '8Gi', validRange: { min: '8Gi' } })])], one(share('r', '1Gi'))), 'r: a memory=8Gi'],
  ['not more than the largest share', () => given([slice('s', [shared('a', { default: '8Gi', validRange: { min: '8Gi', max: '16Gi' } })])], one(share('r', '17Gi'))), NONE],
  ['a share in whole steps', () => given([slice('s', [shared('a', { default: '8Gi', validRange: { min: '8Gi', step: '4Gi' } })])], one(share('r', '9Gi'))), 'r: a memory=12Gi'],
  ['the next larger of the shares that there are', () => given([slice('s', [shared('a', { default: '4Gi', validValues: ['4Gi', '16Gi'] })])], one(share('r', '5Gi'))), 'r: a memory=16Gi'],
  ['none that is larger than all of them', () => given([slice('s', [shared('a', { default: '4Gi', validValues: ['4Gi', '16Gi'] })])], one(share('r', '17Gi'))), NONE],
  ['as a whole what is as large as is asked for', () => given([slice('s', [gpu('a', { capacity: { memory: { value: '10Gi' } } }), gpu('b', { capacity: { memory: { value: '40Gi' } } })])], one(share('r', '20Gi'))), 'r: b'],
  ['all that have so much left', () => given([slice('s', [shared('a'), shared('b')])], one(share('r', '20Gi', { allocationMode: 'All' })), { shares: { a: { memory: '30Gi' } } }), 'r: b memory=20Gi'],
  ['shares of devices that differ', () => given([slice('s', [shared('a'), shared('b')].map((device, i) => ({ ...device, ...attributes({ slot: i }) })))], [claimOf('c', { requests: [share('x', '1Gi'), share('y', '1Gi')], constraints: [{ distinctAttribute: `${DRIVER}/slot` }] })]), 'x: a memory=1Gi, y: b memory=1Gi'],
  ['of counters, what all shares of a device take once', () => given(SHARED_PARTS, one(share('x', '10Gi'), share('y', '10Gi'), exactly('z', { selectors: cel('!device.allowMultipleAllocations') }))), 'x: a memory=10Gi, y: a memory=10Gi, z: half'],
  ['of counters, what is taken already by shares', () => given(SHARED_PARTS, one(exactly('w', { selectors: cel('!device.allowMultipleAllocations') }), share('x', '10Gi')), { shares: { a: { memory: '10Gi' } } }), 'w: half, x: a memory=10Gi'],
  ['of counters, as much as is left after a choice that was given up', () => given(SHARED_PARTS, one({ name: 'r', firstAvailable: [{ name: 'two', deviceClassName: 'any', allocationMode: 'ExactCount', count: 2, capacity: { requests: { memory: '30Gi' } } }, { name: 'half', deviceClassName: 'any', selectors: cel('!device.allowMultipleAllocations') }] }, share('x', '40Gi'))), 'r/half: half, x: a memory=40Gi'],
  ['an administrator a share of what others have', () => given(SHARED, one(exactly('r', { adminAccess: true })), { inUse: ['a'] }), 'r: a! memory=40Gi'],
  ['a selector that is wrong is told', () => given(AB, one(exactly('r', { deviceClassName: 'absent' }))), 'class absent: selector #0: CEL runtime error: no such key: y'],
  ['more than a claim can have is told', () => given(AB, one(exactly('r', { count: 33 }))), 'claim default/c: number of requested devices 33 exceeds the claim limit of 32'],
]
for (const [what, actual, expected] of table) test(what, () => assert.equal(actual(), expected))

test('a selector that cannot be compiled is told with the compiler\'s words', () => {
  assert.match(given(AB, one(exactly('r', { deviceClassName: 'broken' }))), /^class broken: selector #0: CEL compile error: ERROR: <input>:1:16: Syntax error/)
})

test('a search that grows out of hand is given up', () => {
  const many = Array.from({ length: 60 }, (_, i) => gpu(`d${i}`, attributes({ n: i })))
  const claim = claimOf('c', { requests: [exactly('x', { count: 16 }), exactly('y', { selectors: cel('false') })] })
  assert.equal(given([slice('s', many)], [claim]), 'node n1: timed out trying to allocate devices')
})

test('an allocation says which devices, by which settings, and where', () => {
  const opaque = (speed: number) => ({ opaque: { driver: DRIVER, parameters: { speed } } })
  const claim = claimOf('c', {
    requests: [exactly('x', { deviceClassName: 'tuned', tolerations: [{ key: 'hot', operator: 'Exists' }] }), exactly('y', { deviceClassName: 'tuned' }), { name: 'z', firstAvailable: [{ name: 'none', deviceClassName: 'any', selectors: cel('false') }, { name: 'some', deviceClassName: 'any' }] }],
    config: [opaque(2), { ...opaque(3), requests: ['z/some'] }, { ...opaque(4), requests: ['z/none'] }, { ...opaque(5), requests: ['y'] }],
  })
  const allocation = found([slice('s', [gpu('a'), gpu('b'), gpu('c')])], [claim])
  const result = (request: string, device: string) => ({ request, driver: DRIVER, pool: 'p', device })
  const expected: AllocationResult = {
    devices: {
      results: [{ ...result('x', 'a'), tolerations: [{ key: 'hot', operator: 'Exists' }] }, result('y', 'b'), result('z/some', 'c')],
      config: [{ source: 'FromClass', requests: ['x', 'y'], ...opaque(1) }, { source: 'FromClaim', ...opaque(2) }, { source: 'FromClaim', requests: ['z/some'], ...opaque(3) }, { source: 'FromClaim', requests: ['y'], ...opaque(5) }],
    },
    nodeSelector: { nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n1'] }] }] },
  }
  assert.deepEqual(allocation, { ok: true, results: [expected] })
})

test('what was given out as shares is in use as such, written or not; each has a name of its own', () => {
  const claims: Claim[] = []
  const pending = new Map<string, AllocationResult>()
  for (let i = 0; i < 5; i++) {
    const claim = claimOf(`c${i}`, { requests: [share('r', '10Gi')] })
    const found = allocate({ node: node('n1').node, claims: [claim], pools: poolsOf(SHARED), inUse: devicesInUse({ claims: () => claims, pending: () => pending }), lookup: lookup(), newShareId: () => `share-${i}` })
    const [allocation] = found.ok ? found.results : []
    assert.deepEqual(allocation?.devices?.results, i === 4 ? undefined : [{ request: 'r', driver: DRIVER, pool: 'p', device: 'a', shareID: `share-${i}`, consumedCapacity: { memory: '10Gi' } }])
    if (allocation && i % 2 === 0) pending.set(claim.metadata.uid, allocation)
    claims.push(i % 2 === 0 || !allocation ? claim : { ...claim, status: { allocation } })
  }
})

test('a device that is made ready on the node it is given to stays there, and tells what is waited for', () => {
  const allocation = found([slice('s', [gpu('a', { bindsToNode: true, bindingConditions: ['attached'], bindingFailureConditions: ['broken'] })], { allNodes: true })], one(exactly('r')), { on: 'n7' })
  assert.deepEqual(allocation.ok && allocation.results, [{
    devices: { results: [{ request: 'r', driver: DRIVER, pool: 'p', device: 'a', bindingConditions: ['attached'], bindingFailureConditions: ['broken'] }] },
    nodeSelector: { nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n7'] }] }] },
  }])
})

test('of devices that nodes share, all of which must be reached, the nodes are those that reach all', () => {
  const reached = (key: string) => ({ nodeSelector: { nodeSelectorTerms: [{ matchExpressions: [{ key, operator: 'Exists' }] }] } })
  const slices = [slice('s', [gpu('a')], { ...reached('one'), pool: { name: 'p', generation: 1, resourceSliceCount: 1 } }), slice('t', [gpu('b')], { ...reached('two'), pool: { name: 'q', generation: 1, resourceSliceCount: 1 } })]
  const allocation = found(slices, one(exactly('r', { count: 2 })), { labels: { one: '', two: '' } })
  assert.deepEqual(allocation.ok && allocation.results[0]?.nodeSelector, { nodeSelectorTerms: [{ matchExpressions: [{ key: 'one', operator: 'Exists' }, { key: 'two', operator: 'Exists' }] }] })
})

test('whatever is asked: no device is given twice, none that is in use, and a search that a plain one would win is not lost', () => {
  const random = seededRandom(7)
  const upTo = (n: number) => Math.floor(random.next() * n)
  for (let round = 0; round < 300; round++) {
    const devices = Array.from({ length: 1 + upTo(6) }, (_, i) => gpu(`d${i}`, attributes({ colour: upTo(2) === 0 ? 'red' : 'blue' })))
    const inUse = devices.map((d) => d.name).filter(() => upTo(3) === 0)
    const requests = Array.from({ length: 1 + upTo(3) }, (_, i) => exactly(`r${i}`, { count: 1 + upTo(2), deviceClassName: upTo(2) === 0 ? 'red' : 'any' }))
    const allocation = found([slice('s', devices)], one(...requests), { inUse })
    const free = devices.filter((d) => !inUse.includes(d.name))
    const [red, all] = [free.filter((d) => d.attributes?.['colour']?.string === 'red').length, free.length]
    const [asksRed, asks] = [requests.filter((r) => r.exactly?.deviceClassName === 'red'), requests].map((of) => of.reduce((sum, r) => sum + (r.exactly?.count ?? 0), 0))
    assert.equal(allocation.ok, red >= (asksRed ?? 0) && all >= (asks ?? 0), JSON.stringify({ devices, inUse, requests }))
    if (!allocation.ok) continue
    const ids = (allocation.results[0]?.devices?.results ?? []).map((r) => r.device)
    assert.deepEqual([new Set(ids).size, ids.length, ids.some((id) => inUse.includes(id))], [ids.length, asks, false])
  }
})

test('a pod goes where its claims can have devices, or have them; else it is told why not', () => {
  const asks = claimOf('c', { requests: [exactly('r', { deviceClassName: 'red' })] })
  const place = (claims: readonly Claim[], more: { pending?: string; claim?: object } = {}) => {
    const devices: DeviceLookup = {
      ...lookup(), nowMs: () => NOW, claim: (_, name) => claims.find((c) => c.metadata.name === name), claims: () => claims, slices: () => [slice('s', [gpu('a', attributes({ colour: 'red' }))], { nodeName: 'n2' })],
      pending: () => new Map(more.pending === undefined ? [] : [[more.pending, { devices: { results: [{ request: 'r', driver: DRIVER, pool: 'p', device: 'a' }] } }]]),
    }
    const wanted = pod('p', { spec: { resourceClaims: [{ name: 'gpu', resourceClaimName: 'c', ...more.claim }] } })
    const result = schedule({ ...snapshot(node('n1'), node('n2')), devices }, wanted, seededRandom(1))
    return result.ok ? result.node : unschedulableMessage(result)
  }
  const nowhere = (why: string) => `0/2 nodes are available: ${why}.`
  const has = (more: object): Claim => ({ ...asks, status: { allocation: { devices: { results: [{ request: 'r', driver: DRIVER, pool: 'p', device: 'a' }] }, ...more } } })
  const on = (name: string) => ({ nodeSelector: { nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [name] }] }] } })
  const waits = (since: string, condition?: object): Claim => ({
    ...asks,
    status: {
      allocation: { devices: { results: [{ request: 'r', driver: DRIVER, pool: 'p', device: 'a', bindingConditions: ['attached'], bindingFailureConditions: ['broken'] }] }, allocationTimestamp: `2026-01-01T${since}Z`, ...on('n1') },
      ...(condition && { devices: [{ driver: DRIVER, pool: 'p', device: 'a', conditions: [{ reason: 'r', message: '', lastTransitionTime: '', type: '', status: '', ...condition }] }] }),
    },
  })
  const rows: [string, string, string][] = [
    ['where a device is free', place([asks]), 'n2'],
    ['nowhere while another has it', place([asks, { ...has({}), metadata: meta('other') }]), nowhere(`2 ${NONE}`)],
    ['nowhere while another is about to get it', place([asks, claimOf('other', {})], { pending: 'uid-other' }), nowhere(`2 ${NONE}`)],
    ['where its device is', place([has(on('n1'))]), 'n1'],
    ['nowhere else', place([has(on('n3'))]), nowhere('2 resourceclaim not available on the node')],
    ['anywhere with a device that is everywhere', place([has({})]).replace(/n[12]/, 'n'), 'n'],
    ['where its device is, while it is made ready', place([waits('11:51:00')]), 'n1'],
    ['nowhere while one that failed is there', place([waits('11:51:00', { type: 'broken', status: 'True' })]), nowhere('2 resourceclaim not available on the node')],
    ['nowhere while one is there that was waited for too long', place([waits('11:49:59')]), nowhere('2 resourceclaim not available on the node')],
    ['where its device is, when that is ready, however long it took', place([waits('11:49:59', { type: 'attached', status: 'True' })]), 'n1'],
    ['not before it has a claim', place([]), nowhere('resourceclaim.resource.k8s.io "c" not found')],
    ['nor before it was made', place([asks], { claim: { resourceClaimName: undefined, resourceClaimTemplateName: 't' } }), nowhere('pod "default/p": ResourceClaim not created yet')],
    ['not with one that goes', place([{ ...asks, metadata: { ...asks.metadata, deletionTimestamp: 'now' } }]), nowhere('resourceclaim "c" is being deleted')],
    ['not while another pod is getting devices for it', place([asks], { pending: 'uid-c' }), nowhere('resource claim default/c is in the process of being allocated')],
    ['not without the class', place([claimOf('c', { requests: [exactly('r', { deviceClassName: 'gone' })] })]), nowhere('request r: device class gone does not exist')],
  ]
  for (const [what, actual, expected] of rows) assert.equal(actual, expected, what)
})

test('a pod goes where its claims get what they asked for first', () => {
  const at = (nodeName: string, colour: string) => slice(nodeName, [gpu(`${nodeName}-gpu`, attributes({ colour }))], { nodeName, pool: { name: nodeName, generation: 1, resourceSliceCount: 1 } })
  const slices = [at('n1', 'blue'), at('n2', 'red'), at('n3', 'blue')]
  const alternatives = (...names: string[]): DeviceRequest => ({ name: 'r', firstAvailable: names.map((deviceClassName) => ({ name: deviceClassName, deviceClassName, allocationMode: 'ExactCount', count: 1 })) })
  const scores = (...names: string[]) => {
    const claim = claimOf('c', { requests: [alternatives(...names)] })
    const devices: DeviceLookup = { ...lookup(), nowMs: () => NOW, claim: () => claim, claims: () => [claim], slices: () => slices, pending: () => new Map() }
    const nodes = ['n1', 'n2', 'n3'].map((name) => node(name))
    const wanted = pod('p', { spec: { resourceClaims: [{ name: 'gpu', resourceClaimName: 'c' }] } })
    const score = dynamicResourcesScore.prepare(wanted, { ...snapshot(...nodes), devices }, nodes)
    return score && dynamicResourcesScore.normalize?.(nodes.map(score))
  }
  // Eight for the first, one less for each after it; scaled to a hundred.
  assert.deepEqual([scores('red', 'any'), scores('any', 'red')], [[87, 100, 87], [100, 100, 100]])
})

test('a pod goes nowhere while a selector fails on a device of some node', () => {
  const at = (nodeName: string, device: Device) => slice(nodeName, [device], { nodeName, pool: { name: nodeName, generation: 1, resourceSliceCount: 1 } })
  const claim = claimOf('c', { requests: [exactly('r', { selectors: cel(`device.attributes["${DRIVER}"].slot == 1`) })] })
  const place = (...slices: Stored<ResourceSlice>[]) => {
    const devices: DeviceLookup = { ...lookup(), nowMs: () => NOW, claim: () => claim, claims: () => [claim], slices: () => slices, pending: () => new Map() }
    const result = schedule({ ...snapshot(node('n1'), node('n2')), devices }, pod('p', { spec: { resourceClaims: [{ name: 'gpu', resourceClaimName: 'c' }] } }), seededRandom(1))
    return result.ok ? result.node : unschedulableMessage(result)
  }
  const good = at('n1', gpu('a', attributes({ slot: 1 })))
  assert.deepEqual([place(good, at('n2', gpu('b', attributes({ slot: 2 })))), place(good, at('n2', gpu('b')))], ['n1', '0/2 nodes are available: claim default/c: selector #0: CEL runtime error: no such key: slot.'])
})
