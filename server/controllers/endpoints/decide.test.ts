import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Endpoints, Pod, Service, Stored } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { ADDRESSES_MAX, decideEndpoints, type EndpointsView } from './decide.ts'

const meta = (name: string) => ({ name, namespace: 'default', uid: `u-${name}`, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' })
const service = (spec: Partial<NonNullable<Service['spec']>> = {}): Stored<Service> => ({
  metadata: meta('web'), spec: { selector: { app: 'web' }, clusterIP: '10.43.0.1', ports: [{ name: 'a', port: 80, targetPort: 8080 }, { name: 'b', port: 81, targetPort: 'b', protocol: 'UDP' }], ...spec },
})
const pod = (i: number, over: { ready?: boolean; deleting?: boolean; withB?: boolean } = {}): Stored<Pod> => ({
  metadata: { ...meta(`p${i}`), labels: { app: 'web' }, ...(over.deleting && { deletionTimestamp: '2026-01-01T00:00:00Z' }) },
  spec: { nodeName: 'n', containers: [{ name: 'c', ports: over.withB ? [{ name: 'b', containerPort: 53, protocol: 'UDP' }] : [] }] },
  status: { phase: 'Running', podIP: `10.42.${Math.floor(i / 250)}.${(i % 250) + 1}`, conditions: [{ type: 'Ready', status: over.ready === false ? 'False' : 'True' }] },
})
const decide = (view: Partial<EndpointsView>) => decideEndpoints({ service: service(), pods: [], endpoints: undefined, ...view }, { nowMs: 0, random: seededRandom(1) })
const address = (i: number) => ({ ip: `10.42.0.${i + 1}`, nodeName: 'n', targetRef: { kind: 'Pod', name: `p${i}`, namespace: 'default', uid: `u-p${i}` } })

test('addresses with the same ports stand together, ready ones apart from others, terminating ones nowhere', () => {
  const pods = [pod(3, { ready: false }), pod(1), pod(2, { withB: true }), pod(4, { deleting: true }), pod(5)]
  const [action] = decide({ pods }).actions
  assert.ok(action?.kind === 'create')
  assert.deepStrictEqual(action.endpoints.metadata, { name: 'web', namespace: 'default', labels: { 'endpoints.kubernetes.io/managed-by': 'endpoint-controller' } })
  assert.deepStrictEqual(action.endpoints.subsets, [
    { addresses: [address(1), address(5)], notReadyAddresses: [address(3)], ports: [{ name: 'a', port: 8080, protocol: 'TCP' }] },
    { addresses: [address(2)], ports: [{ name: 'a', port: 8080, protocol: 'TCP' }, { name: 'b', port: 53, protocol: 'UDP' }] },
  ].sort((a, b) => (JSON.stringify(a.ports) < JSON.stringify(b.ports) ? -1 : 1)))
})

test('what is right is left alone, what is cut off says so, what lost its Service goes', () => {
  const pods = Array.from({ length: ADDRESSES_MAX + 5 }, (_, i) => pod(i, { ready: i % 2 === 0 }))
  const [action] = decide({ pods }).actions
  assert.ok(action?.kind === 'create')
  const counts = action.endpoints.subsets?.map((s) => [s.addresses?.length, s.notReadyAddresses?.length])
  assert.deepStrictEqual(counts, [[503, 497]])
  assert.deepStrictEqual(action.endpoints.metadata?.annotations, { 'endpoints.kubernetes.io/over-capacity': 'truncated' })
  const endpoints = { ...action.endpoints, metadata: { ...meta('web'), ...action.endpoints.metadata } } as Stored<Endpoints>
  assert.deepStrictEqual(decide({ pods, endpoints }).actions, [])
  assert.deepStrictEqual(decide({ service: undefined, endpoints }).actions, [{ kind: 'delete', name: 'web', uid: 'u-web' }])
  const foreign = { metadata: meta('lock') }
  assert.deepStrictEqual(decide({ service: undefined, endpoints: foreign }).actions, [])
})
