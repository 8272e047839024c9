import { deepStrictEqual, ok } from 'node:assert'
import { test } from 'node:test'
import { createLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { type Harness, harness, items } from './apiserver/app.test-support.ts'
import { rows, withAllocators } from './apiserver/registry.ts'
import { openServiceAllocator } from './service-allocations.ts'
import { MemoryStore } from './store/store-memory.ts'

const log = createLog({ format: 'text', level: 'error', nowMs: () => 0, write: () => {} })
const SERVICES = '/api/v1/namespaces/default/services'
const N = '/apis/networking.k8s.io/v1'

async function server(store: MemoryStore, seed: number, serviceCidr = '10.43.0.0/24'): Promise<Harness> {
  const allocator = await openServiceAllocator(store, { serviceCidr, clusterDns: '10.43.0.10', random: seededRandom(seed), log })
  return harness({ store, rows: withAllocators(rows, { services: allocator }) })
}
const service = (name: string, spec: object = {}) => ({ metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } })
const ipOf = async (h: Harness, name: string): Promise<string> => String((await h.call('GET', `${SERVICES}/${name}`)).json['spec']?.['clusterIP'])
const addresses = async (h: Harness): Promise<string[]> => items<{ metadata: { name: string }; spec: { parentRef: { namespace: string; name: string } } }>((await h.call('GET', `${N}/ipaddresses`)).json['items']).map((a) => `${a.metadata.name} ${a.spec.parentRef.namespace}/${a.spec.parentRef.name}`)

test('a Service and the object of its address come and go together, and an update moves what changes', async () => {
  const h = await server(new MemoryStore(), 1)
  deepStrictEqual((await h.call('POST', SERVICES, service('a'))).status, 201)
  const ip = await ipOf(h, 'a')
  deepStrictEqual(await addresses(h), [`${ip} default/a`])
  const stored = (await h.call('GET', `${N}/ipaddresses/${ip}`)).json
  deepStrictEqual([stored['metadata']?.['generation'], stored['metadata']?.['labels'], stored['kind']], [undefined, { 'ipaddress.kubernetes.io/ip-family': 'IPv4', 'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io' }, 'IPAddress'])
  const merge = { 'content-type': 'application/merge-patch+json' }
  deepStrictEqual((await h.call('PATCH', `${SERVICES}/a`, { spec: { type: 'ExternalName', externalName: 'x.y', clusterIP: '', clusterIPs: null } }, merge)).status, 200)
  deepStrictEqual(await addresses(h), [])
  deepStrictEqual((await h.call('PATCH', `${SERVICES}/a`, { spec: { type: 'ClusterIP', externalName: null } }, merge)).status, 200)
  deepStrictEqual((await addresses(h)).length, 1)
  await h.call('DELETE', `${SERVICES}/a`)
  deepStrictEqual(await addresses(h), [])
})

test('two servers over one store never give one address twice, and one that is asked for only once', async () => {
  const store = new MemoryStore()
  const [a, b] = [await server(store, 7, '10.43.0.0/28'), await server(store, 7, '10.43.0.0/28')]
  const made = await Promise.all(Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? a : b).call('POST', SERVICES, service(`s${i}`))))
  deepStrictEqual(made.map((m) => m.status), made.map(() => 201))
  deepStrictEqual(new Set(made.map((m) => String(m.json['spec']?.['clusterIP']))).size, 12)
  await a.call('DELETE', `${SERVICES}/s0`)
  const free = String(made[0]?.json['spec']?.['clusterIP'])
  const both = await Promise.all([a.call('POST', SERVICES, service('x', { clusterIP: free })), b.call('POST', SERVICES, service('y', { clusterIP: free }))])
  deepStrictEqual(both.map((r) => r.status).toSorted((x, y) => x - y), [201, 422])
})

test('two servers over one store never give one node port twice, and one that was given back is free for both', async () => {
  const store = new MemoryStore()
  const [a, b] = [await server(store, 7), await server(store, 7)]
  const nodePort = (answer: { json: Record<string, unknown> }): number => (answer.json['spec'] as { ports: { nodePort: number }[] }).ports[0]?.nodePort ?? 0
  const made = await Promise.all(Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? a : b).call('POST', SERVICES, service(`s${i}`, { type: 'NodePort' }))))
  deepStrictEqual(made.map((m) => m.status), made.map(() => 201))
  deepStrictEqual(new Set(made.map(nodePort)).size, 12)
  const wanted = { type: 'NodePort', ports: [{ port: 80, nodePort: 30_005 }] }
  for (let i = 0; i < 3; i++) {
    const both = await Promise.all([a.call('POST', SERVICES, service('x', wanted)), b.call('POST', SERVICES, service('y', wanted))])
    deepStrictEqual(both.map((r) => r.status).toSorted((x, y) => x - y), [201, 422])
    await a.call('DELETE', `${SERVICES}/${both[0]?.status === 201 ? 'x' : 'y'}`)
  }
  const merge = { 'content-type': 'application/merge-patch+json' }
  deepStrictEqual((await b.call('POST', SERVICES, service('x', wanted))).status, 201)
  deepStrictEqual((await a.call('PATCH', `${SERVICES}/x`, { spec: { type: 'ClusterIP', ports: [{ port: 80, nodePort: null }] } }, merge)).status, 200)
  deepStrictEqual((await b.call('POST', SERVICES, service('y', wanted))).status, 201)
  // No key outlives the Service it was for.
  for (const name of ['x', 'y', ...made.map((_, i) => `s${i}`)]) await b.call('DELETE', `${SERVICES}/${name}`)
  deepStrictEqual((await store.list({ prefix: '/registry/ranges/' })).items, [])
})

test('an address taken by somebody else, and networks that come and go, count at once', async () => {
  const h = await server(new MemoryStore(), 3)
  await h.call('POST', `${N}/ipaddresses`, { metadata: { name: '10.43.0.77' }, spec: { parentRef: { resource: 'gateways', group: 'x.y', name: 'g' } } })
  const taken = await h.call('POST', SERVICES, service('a', { clusterIP: '10.43.0.77' }))
  deepStrictEqual([taken.status, /provided IP is already allocated/.test(taken.text)], [422, true])
  deepStrictEqual((await h.call('POST', SERVICES, service('b', { clusterIP: '10.99.0.5' }))).status, 422)
  deepStrictEqual((await h.call('POST', `${N}/servicecidrs`, { metadata: { name: 'more' }, spec: { cidrs: ['10.99.0.0/24'] } })).status, 201)
  deepStrictEqual((await h.call('POST', SERVICES, service('b', { clusterIP: '10.99.0.5' }))).status, 201)
  await h.call('DELETE', `${N}/servicecidrs/more`)
  deepStrictEqual((await h.call('POST', SERVICES, service('c', { clusterIP: '10.99.0.6' }))).status, 422)
})

test('what a server finds at its start is taken, with or without an object of its own', async () => {
  const store = new MemoryStore()
  const first = await server(store, 1)
  await first.call('POST', SERVICES, service('a', { type: 'NodePort', ports: [{ port: 80, nodePort: 30_123 }] }))
  const ip = await ipOf(first, 'a')
  await first.call('DELETE', `${N}/ipaddresses/${ip}`)
  const second = await server(store, 1)
  ok((await second.call('POST', SERVICES, service('b', { clusterIP: ip }))).status === 422)
  ok((await second.call('POST', SERVICES, service('b', { type: 'NodePort', ports: [{ port: 80, nodePort: 30_123 }] }))).status === 422)
})
