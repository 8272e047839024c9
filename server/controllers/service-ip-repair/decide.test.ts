import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import type { IPAddress, Service, Stored } from '#api/types/index.ts'
import { decideRepair, type ClusterIp } from './decide.ts'

const META = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' }
const CREATED_MS = Date.parse(META.creationTimestamp)
const service: Stored<Service> = { metadata: { ...META, name: 'a', namespace: 'n' }, spec: { clusterIP: '10.1.0.5', clusterIPs: ['10.1.0.5'] } }
const address = (parent: object = {}, labels: Record<string, string> = { 'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io', 'ipaddress.kubernetes.io/ip-family': 'IPv4' }): Stored<IPAddress> => ({
  metadata: { ...META, name: '10.1.0.5', labels }, spec: { parentRef: { resource: 'services', namespace: 'n', name: 'a', ...parent } },
})
const ofService = (ip: Partial<ClusterIp>, sharedPorts: string[] = []) => decideRepair({ of: 'service', service, ips: [{ ip: '10.1.0.5', address: undefined, inRange: true, rival: undefined, ...ip }], sharedPorts }).actions

test('a Service whose address is missing, wrong or shared', () => {
  deepStrictEqual(ofService({ address: address() }), [])
  deepStrictEqual(ofService({}), [{ kind: 'makeAddress', ip: '10.1.0.5', replace: false }])
  deepStrictEqual(ofService({ inRange: false }), [{ kind: 'warn', reason: 'ClusterIPOutOfRange', message: 'Cluster IP [IPv4]: 10.1.0.5 is not within any configured Service CIDR; please recreate service' }])
  deepStrictEqual(ofService({ address: address({ resource: 'gateways', group: 'x' }) }).map((a) => a.kind), ['warn', 'makeAddress'])
  deepStrictEqual(ofService({ address: address({ name: 'b' }), rival: 'n/b' }), [{ kind: 'warn', reason: 'ClusterIPAlreadyAllocated', message: 'Cluster IP [IPv4]:10.1.0.5 was assigned to multiple services; please recreate service' }])
  deepStrictEqual(ofService({ address: address({}, {}) }), [{ kind: 'makeAddress', ip: '10.1.0.5', replace: true }])
  deepStrictEqual(ofService({ address: address() }, ['30001/TCP']), [{ kind: 'warn', reason: 'PortAlreadyAllocated', message: 'Port 30001/TCP was assigned to multiple services; please recreate service' }])
})

test('an address that nobody has is removed once its Service had time to come', () => {
  const of = (a: Stored<IPAddress>, present: boolean, nowMs: number) => {
    const { actions, wakeAtMs } = decideRepair({ of: 'address', address: a, service: present ? service : undefined, nowMs })
    return [actions.map((x) => x.kind), wakeAtMs]
  }
  deepStrictEqual(of(address(), true, CREATED_MS + 100_000), [[], undefined])
  deepStrictEqual(of(address(), false, CREATED_MS + 10_000), [[], CREATED_MS + 60_001])
  deepStrictEqual(of(address(), false, CREATED_MS + 60_001), [['warn', 'removeAddress'], undefined])
  deepStrictEqual(of(address({}, {}), false, CREATED_MS + 60_001), [[], undefined])
  deepStrictEqual(of(address({ resource: 'pods' }), true, CREATED_MS), [['warn', 'removeAddress'], undefined])
})
