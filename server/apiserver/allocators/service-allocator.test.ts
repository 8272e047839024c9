import { deepStrictEqual, ok, throws } from 'node:assert'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Service, ServiceSpec } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { bandSize } from './pool.ts'
import { ServiceAllocator, serviceAddress } from './service-allocator.ts'

const ctx = { nowMs: 0, random: seededRandom(2), user: { name: 'u', groups: [] } }
const service = (spec: ServiceSpec, name = 'a'): Service => ({ metadata: { name, namespace: 'default' }, spec: { type: 'ClusterIP', ...spec } })
const make = (serviceCidr = '10.43.0.0/16') => new ServiceAllocator({ serviceCidr, random: seededRandom(1), reserved: ['10.43.0.10'] })

function take(allocator: ServiceAllocator, wanted: Service, old?: Service): string[] {
  const result = allocator.allocate(wanted, old, ctx)
  if (!result.ok) return result.errors.map((e) => `${e.field}: ${e.message}`)
  result.reservation.commit()
  return []
}

test('a cluster IP comes from above the static band, and says the families of the cluster', () => {
  const s = service({})
  deepStrictEqual(take(make(), s), [])
  ok(/^10\.43\.(?!0\.)\d+\.\d+$/.test(s.spec?.clusterIP ?? ''), s.spec?.clusterIP ?? 'none')
  deepStrictEqual(s.spec, { type: 'ClusterIP', clusterIP: s.spec?.clusterIP, clusterIPs: [s.spec?.clusterIP], ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' })
})

test('an address that is asked for is refused when taken or outside the range, in upstream\'s words', () => {
  const allocator = make()
  deepStrictEqual(take(allocator, service({ clusterIP: '10.43.0.1' })), [])
  deepStrictEqual(take(allocator, service({ clusterIP: '10.43.0.1' }, 'b')), ['spec.clusterIPs: Invalid value: ["10.43.0.1"]: failed to allocate IP 10.43.0.1: provided IP is already allocated'])
  deepStrictEqual(take(allocator, service({ clusterIP: '10.44.0.1' }, 'b')), ['spec.clusterIPs: Invalid value: ["10.44.0.1"]: failed to allocate IP 10.44.0.1: the provided IP (10.44.0.1) is not in the valid range. The range of valid IPs is 10.43.0.0/16'])
  deepStrictEqual(take(allocator, service({ clusterIP: '10.43.0.10' }, 'dns')), [])
  for (const edge of ['10.43.0.0', '10.43.255.255']) ok(take(allocator, service({ clusterIP: edge }, 'b'))[0]?.includes('not in the valid range'), edge)
})

test('headless and ExternalName Services take no address', () => {
  const headless = service({ clusterIP: 'None', clusterIPs: ['None'], selector: { a: 'b' } })
  const bare = service({ clusterIP: 'None', clusterIPs: ['None'] })
  const external = service({ type: 'ExternalName', externalName: 'x' })
  const allocator = make()
  deepStrictEqual([headless, bare, external].flatMap((s) => take(allocator, s)), [])
  deepStrictEqual([headless, bare, external].map((s) => [s.spec?.clusterIP, s.spec?.ipFamilies, s.spec?.ipFamilyPolicy]), [['None', ['IPv4'], 'SingleStack'], ['None', ['IPv4', 'IPv6'], 'RequireDualStack'], [undefined, undefined, undefined]])
})

test('node ports: given, asked for, shared between protocols, refused', () => {
  const allocator = make()
  const s = service({ type: 'NodePort', ports: [{ port: 53, protocol: 'TCP' }, { port: 53, protocol: 'UDP' }, { port: 80, protocol: 'TCP', nodePort: 30_080 }] })
  deepStrictEqual(take(allocator, s), [])
  const ports = s.spec?.ports?.map((p) => p.nodePort ?? 0) ?? []
  deepStrictEqual([ports[0] === ports[1], ports[2], (ports[0] ?? 0) >= 30_086], [true, 30_080, true])
  deepStrictEqual(take(allocator, service({ type: 'NodePort', ports: [{ port: 1, nodePort: 30_080 }, { port: 2, nodePort: 80 }] }, 'b')), [
    'spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated',
    'spec.ports[1].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767',
  ])
})

test('a rolled back reservation is free again, a refused one reserves nothing', () => {
  const allocator = make()
  const first = allocator.allocate(service({ type: 'NodePort', clusterIP: '10.43.0.5', ports: [{ port: 1, nodePort: 30_001 }] }), undefined, ctx)
  ok(first.ok)
  first.reservation.rollback()
  ok(!allocator.allocate(service({ clusterIP: '10.43.0.5', type: 'NodePort', ports: [{ port: 1, nodePort: 1 }] }, 'b'), undefined, ctx).ok)
  deepStrictEqual(take(allocator, service({ type: 'NodePort', clusterIP: '10.43.0.5', ports: [{ port: 1, nodePort: 30_001 }] }, 'c')), [])
})

test('an update keeps what it has, takes what is new, and frees the rest only once written', () => {
  const allocator = make()
  const old = service({ type: 'NodePort', clusterIP: '10.43.0.5', ports: [{ port: 1, nodePort: 30_001 }] })
  deepStrictEqual(take(allocator, old), [])
  const update = structuredClone(old)
  update.spec = { ...update.spec, ports: [{ port: 1, nodePort: 30_002 }] }
  const result = allocator.allocate(update, old, ctx)
  ok(result.ok)
  const other = () => take(allocator, service({ type: 'NodePort', ports: [{ port: 1, nodePort: 30_001 }] }, 'b'))
  deepStrictEqual(other(), ['spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated'])
  result.reservation.commit()
  deepStrictEqual(other(), [])
  const external = service({ type: 'ExternalName', externalName: 'x' })
  deepStrictEqual(take(allocator, external, update), [])
  deepStrictEqual(take(allocator, service({ clusterIP: '10.43.0.5' }, 'c')), [])
})

test('deleting gives back; loading stored Services takes them over and tells of clashes', () => {
  const first = make()
  const s = service({})
  deepStrictEqual(take(first, s), [])
  const second = make()
  deepStrictEqual(second.load([s, service({ clusterIP: s.spec?.clusterIP ?? '' }, 'b')]), [`Services default/a and default/b both have the cluster IP ${s.spec?.clusterIP}`])
  ok(take(second, service({ clusterIP: s.spec?.clusterIP ?? '' }, 'c')).length > 0)
  second.release(s)
  deepStrictEqual(take(second, service({ clusterIP: s.spec?.clusterIP ?? '' }, 'c')), [])
})

test('a small network is given out to the last address but the first, and no address twice', () => {
  const allocator = new ServiceAllocator({ serviceCidr: '10.0.0.0/28', random: seededRandom(3) })
  const ips = Array.from({ length: 14 }, (_, i) => {
    const s = service({}, `s${i}`)
    return take(allocator, s).length === 0 ? s.spec?.clusterIP : 'full'
  })
  deepStrictEqual([ips.filter((ip) => ip === 'full').length, new Set(ips).size, ips.includes('10.0.0.1')], [1, 14, false])
})

test('whatever is created, updated and deleted, no two Services ever hold the same', () => {
  fc.assert(fc.property(fc.array(fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), what: fc.constantFrom('put', 'abort', 'delete'), type: fc.constantFrom('ClusterIP', 'NodePort', 'ExternalName'), ip: fc.constantFrom(undefined, '10.0.0.2', '10.0.0.3'), port: fc.constantFrom(undefined, 30_001, 30_002) }), { maxLength: 30 }), (steps) => {
    const allocator = new ServiceAllocator({ serviceCidr: '10.0.0.0/28', random: seededRandom(5) })
    const stored = new Map<string, Service>()
    for (const { name, what, type, ip, port } of steps) {
      const old = stored.get(name)
      if (what === 'delete') {
        if (old) allocator.release(old)
        stored.delete(name)
        continue
      }
      const next = service({ type, ...(type !== 'ExternalName' && ip && { clusterIP: ip }), ports: [{ port: 1, ...(type === 'NodePort' && port && { nodePort: port }) }] }, name)
      const result = allocator.allocate(next, old, ctx)
      if (!result.ok) continue
      if (what === 'put') {
        result.reservation.commit()
        stored.set(name, next)
      } else {
        result.reservation.rollback()
      }
    }
    const held = [...stored.values()].flatMap((s) => [...(s.spec?.clusterIPs ?? []), ...(s.spec?.ports ?? []).flatMap((p) => p.nodePort ?? [])])
    deepStrictEqual(held.length, new Set(held).size)
    deepStrictEqual(new ServiceAllocator({ serviceCidr: '10.0.0.0/28', random: seededRandom(5) }).load(stored.values()), [])
  }))
})

test('static bands have upstream\'s sizes, and a bad network is refused with the flag\'s name', () => {
  deepStrictEqual([65_534, 254, 14, 4094].map((n) => bandSize(n, { min: 16, max: 256, fraction: 16 })), [256, 16, 0, 255])
  deepStrictEqual(bandSize(2768, { min: 16, max: 128, fraction: 32 }), 86)
  deepStrictEqual([serviceAddress('10.43.0.0/16', 1), serviceAddress('10.43.7.9/16', 10)], ['10.43.0.1', '10.43.0.10'])
  throws(() => make('nonsense'), /--service-cidr nonsense/)
})
