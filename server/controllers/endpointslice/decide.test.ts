import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { EndpointSlice, Node, Pod, Service, Stored } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { decideEndpointSlices, ENDPOINTS_PER_SLICE_MAX, type EndpointSliceAction, type EndpointSliceView } from './decide.ts'

const meta = (name: string) => ({ name, namespace: 'default', uid: `u-${name}`, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' })
const service = (spec: Partial<NonNullable<Service['spec']>> = {}): Stored<Service> => ({
  apiVersion: 'v1', kind: 'Service', metadata: { ...meta('web'), labels: { team: 'x' } },
  spec: { selector: { app: 'web' }, clusterIP: '10.43.0.1', ipFamilies: ['IPv4'], ports: [{ name: 'http', port: 80, targetPort: 'http', protocol: 'TCP' }], ...spec },
})
function pod(i: number, over: { ready?: boolean; deleting?: boolean; port?: number; node?: string; ip?: string; phase?: string; hostname?: string; subdomain?: string } = {}): Stored<Pod> {
  const { hostname, subdomain } = over
  return {
    metadata: { ...meta(`p${i}`), labels: { app: 'web' }, ...(over.deleting && { deletionTimestamp: '2026-01-01T00:00:00Z' }) },
    spec: { nodeName: over.node ?? 'n', containers: [{ name: 'c', ports: [{ name: 'http', containerPort: over.port ?? 8080 }] }], ...(hostname !== undefined && { hostname }), ...(subdomain !== undefined && { subdomain }) },
    status: { phase: over.phase ?? 'Running', podIPs: [{ ip: over.ip ?? `10.42.${Math.floor(i / 250)}.${(i % 250) + 1}` }], conditions: [{ type: 'Ready', status: over.ready === false ? 'False' : 'True' }] },
  }
}
const nodes = new Map<string, Stored<Node>>([['n', { metadata: { ...meta('n'), labels: { 'topology.kubernetes.io/zone': 'z' } } }]])
const decide = (view: Partial<EndpointSliceView>) => decideEndpointSlices({ service: service(), pods: [], nodes, slices: [], ...view }, { nowMs: 0, random: seededRandom(1) })

/** The API server's part. */
function applyAll(slices: Stored<EndpointSlice>[], actions: readonly EndpointSliceAction[], serial: { n: number }): Stored<EndpointSlice>[] {
  let now = slices
  for (const a of actions) {
    if (a.kind === 'createSlice') now = [...now, { ...a.slice, metadata: { ...meta(`s${++serial.n}`), ...a.slice.metadata, name: `s${serial.n}` } }]
    else if (a.kind === 'updateSlice') now = now.map((s) => (s.metadata.uid === a.slice.metadata.uid ? a.slice : s))
    else now = now.filter((s) => s.metadata.uid !== a.uid)
  }
  return now
}

test('a Service without pods has one empty slice with upstream’s labels', () => {
  assert.deepStrictEqual(decide({}).actions, [{
    kind: 'createSlice',
    slice: {
      apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4', ports: [], endpoints: [],
      metadata: {
        generateName: 'web-', namespace: 'default',
        labels: { team: 'x', 'kubernetes.io/service-name': 'web', 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name: 'web', uid: 'u-web', controller: true, blockOwnerDeletion: true }],
        annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-01-01T00:00:00Z' },
      },
    },
  }])
})

const CONDITIONS: { name: string; pod: Stored<Pod>; publish?: boolean; conditions: unknown }[] = [
  { name: 'ready', pod: pod(1), conditions: { ready: true, serving: true, terminating: false } },
  { name: 'not ready', pod: pod(1, { ready: false }), conditions: { ready: false, serving: false, terminating: false } },
  { name: 'on its way out, still serving', pod: pod(1, { deleting: true }), conditions: { ready: false, serving: true, terminating: true } },
  { name: 'published though not ready', pod: pod(1, { ready: false }), publish: true, conditions: { ready: true, serving: false, terminating: false } },
  { name: 'finished', pod: pod(1, { phase: 'Succeeded' }), conditions: undefined },
  { name: 'on a node that is gone', pod: pod(1, { node: 'gone' }), conditions: undefined },
]
for (const { name, pod: p, publish, conditions } of CONDITIONS) {
  test(`a pod that is ${name}`, () => {
    const [action] = decide({ service: service({ publishNotReadyAddresses: publish === true }), pods: [p] }).actions
    assert.ok(action?.kind === 'createSlice')
    assert.deepStrictEqual(action.slice.endpoints, conditions === undefined ? [] : [{
      addresses: ['10.42.0.2'], conditions, nodeName: 'n', zone: 'z', targetRef: { kind: 'Pod', name: 'p1', namespace: 'default', uid: 'u-p1' },
    }])
  })
}

test('pods whose named port differs stand in slices of their own; a headless Service gives hostnames and its label', () => {
  const headless = service({ clusterIP: 'None' })
  const { actions } = decide({ service: headless, pods: [pod(1), pod(2, { port: 9090, hostname: 'db', subdomain: 'web' })] })
  assert.deepStrictEqual(actions.map((a) => a.kind === 'createSlice' && [a.slice.ports, a.slice.endpoints?.map((e) => e.hostname), a.slice.metadata?.labels?.['service.kubernetes.io/headless']]), [
    [[{ name: 'http', protocol: 'TCP', port: 8080 }], [undefined], ''],
    [[{ name: 'http', protocol: 'TCP', port: 9090 }], ['db'], ''],
  ])
})

test('slices of a Service without selector, of an ExternalName, or that is gone are not touched', () => {
  const { selector: _, ...rest } = service().spec ?? {}
  for (const s of [undefined, { ...service(), spec: rest }, service({ type: 'ExternalName' })]) assert.deepStrictEqual(decide({ service: s, pods: [pod(1)] }).actions, [])
})

test('one pod more is one update, and the others stay where they are', () => {
  const serial = { n: 0 }
  const pods = Array.from({ length: 150 }, (_, i) => pod(i))
  const slices = applyAll([], decide({ pods }).actions, serial)
  assert.deepStrictEqual(slices.map((s) => s.endpoints?.length), [100, 50])
  const more = decide({ pods: [...pods, pod(150)], slices }).actions
  assert.deepStrictEqual(more.map((a) => a.kind === 'updateSlice' && [a.slice.metadata.name, a.slice.endpoints?.length]), [['s2', 51]])
})

test('law: every backend is in exactly one slice, no slice is too big, and nothing is left to do after', () => {
  const change = fc.record({ add: fc.integer({ min: 0, max: 130 }), remove: fc.integer({ min: 0, max: 130 }), ports: fc.integer({ min: 1, max: 2 }) })
  fc.assert(fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 1e6 }), (changes, seed) => {
    const random = seededRandom(seed)
    const serial = { n: 0 }
    let next = 0
    let pods: Stored<Pod>[] = []
    let slices: Stored<EndpointSlice>[] = []
    for (const { add, remove, ports } of changes) {
      pods = pods.filter(() => pods.length === 0 || random.next() > remove / Math.max(130, pods.length))
      for (let i = 0; i < add; i++) pods.push(pod(next++, { port: 8080 + Math.floor(random.next() * ports) }))
      slices = applyAll(slices, decide({ pods, slices }).actions, serial)
      const names = slices.flatMap((s) => s.endpoints?.map((e) => e.targetRef?.name ?? '') ?? [])
      assert.deepStrictEqual(names.sort(), pods.map((p) => p.metadata.name).sort())
      assert.ok(slices.every((s) => (s.endpoints?.length ?? 0) <= ENDPOINTS_PER_SLICE_MAX))
      assert.deepStrictEqual(decide({ pods, slices }).actions, [])
    }
  }), { numRuns: 60 })
})
