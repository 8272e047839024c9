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
  deepStrictEqual(take(allocator, service({ type: 'NodePort', ports: [{ port: 1, nodePort: 30_090 }, { port: 2, protocol: 'UDP', nodePort: 30_090 }] }, 'c')), ['spec.ports[1].nodePort: Invalid value: 30090: provided port is already allocated'])
  deepStrictEqual(take(allocator, service({ type: 'NodePort', ports: [{ port: 1, nodePort: 30_090 }, { port: 1, protocol: 'UDP', nodePort: 30_090 }] }, 'c')), [])
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

const V6 = 'fd43::/112'
const BOTH = `10.43.0.0/16,${V6}`
const families = ({ spec }: Service) => [spec?.ipFamilies, spec?.ipFamilyPolicy, (spec?.clusterIPs ?? []).map((ip) => (ip.includes(':') ? 'IPv6' : 'IPv4')), spec?.clusterIP === spec?.clusterIPs?.[0]]

test('what a Service says and what the cluster has make its families', () => {
  for (const [cidr, spec, want] of [
    [BOTH, {}, [['IPv4'], 'SingleStack', ['IPv4'], true]],
    [BOTH, { ipFamilyPolicy: 'PreferDualStack' }, [['IPv4', 'IPv6'], 'PreferDualStack', ['IPv4', 'IPv6'], true]],
    [BOTH, { ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv6'] }, [['IPv6', 'IPv4'], 'RequireDualStack', ['IPv6', 'IPv4'], true]],
    [BOTH, { ipFamilies: ['IPv6'] }, [['IPv6'], 'SingleStack', ['IPv6'], true]],
    [BOTH, { clusterIP: 'fd43::99' }, [['IPv6'], 'SingleStack', ['IPv6'], true]],
    [BOTH, { clusterIP: 'fd43::99', clusterIPs: ['fd43::99', '10.43.0.7'], ipFamilyPolicy: 'PreferDualStack' }, [['IPv6', 'IPv4'], 'PreferDualStack', ['IPv6', 'IPv4'], true]],
    [BOTH, { clusterIP: 'fd43::99', ipFamilyPolicy: 'RequireDualStack' }, [['IPv6', 'IPv4'], 'RequireDualStack', ['IPv6', 'IPv4'], true]],
    [`${V6},10.43.0.0/16`, {}, [['IPv6'], 'SingleStack', ['IPv6'], true]],
    [V6, { ipFamilyPolicy: 'PreferDualStack' }, [['IPv6'], 'PreferDualStack', ['IPv6'], true]],
    ['10.43.0.0/16', { ipFamilyPolicy: 'PreferDualStack' }, [['IPv4'], 'PreferDualStack', ['IPv4'], true]],
  ] as const) {
    const s = service(structuredClone(spec) as ServiceSpec)
    deepStrictEqual([take(make(cidr), s), ...families(s)], [[], ...want], JSON.stringify([cidr, spec]))
  }
  const headless = service({ clusterIP: 'None', clusterIPs: ['None'], selector: { a: 'b' }, ipFamilyPolicy: 'PreferDualStack' })
  deepStrictEqual(take(make(BOTH), headless), [])
  deepStrictEqual([headless.spec?.ipFamilies, headless.spec?.clusterIPs], [['IPv4', 'IPv6'], ['None']])
})

test('families that the cluster does not have, and lists that do not fit the policy, are refused in upstream\'s words', () => {
  const single = '10.43.0.0/16'
  for (const [cidr, spec, want] of [
    [single, { ipFamilyPolicy: 'RequireDualStack' }, ['spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services']],
    [single, { ipFamilies: ['IPv6'] }, ['spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster']],
    [single, { clusterIP: 'fd43::9' }, ['spec.clusterIPs[0]: Invalid value: ["fd43::9"]: IPv6 is not configured on this cluster']],
    [BOTH, { ipFamilies: ['IPv4', 'IPv6'] }, ['spec.ipFamilyPolicy: Invalid value: "SingleStack": must be RequireDualStack or PreferDualStack when multiple IP families are specified']],
    [BOTH, { clusterIP: '10.43.0.5', clusterIPs: ['10.43.0.5', 'fd43::5'] }, ['spec.ipFamilyPolicy: Invalid value: "SingleStack": must be RequireDualStack or PreferDualStack when multiple cluster IPs are specified']],
    [BOTH, { clusterIP: 'fd43::' }, ['spec.clusterIPs: Invalid value: ["fd43::"]: failed to allocate IP fd43::: the provided IP (fd43::) is not in the valid range. The range of valid IPs is fd43::/112']],
  ] as const) deepStrictEqual(take(make(cidr), service(structuredClone(spec) as ServiceSpec)), want, JSON.stringify(spec))
})

test('a Service goes from one family to two and back by its policy, and keeps both where nobody says otherwise', () => {
  const allocator = make(BOTH)
  const one = service({})
  take(allocator, one)
  const two = service({ ...structuredClone(one.spec), ipFamilyPolicy: 'PreferDualStack' })
  deepStrictEqual(take(allocator, two, one), [])
  deepStrictEqual([two.spec?.clusterIPs?.[0], two.spec?.clusterIPs?.length, two.spec?.ipFamilies], [one.spec?.clusterIP, 2, ['IPv4', 'IPv6']])
  const second = two.spec?.clusterIPs?.[1] ?? ''
  const less = service({ ...structuredClone(two.spec), clusterIPs: [one.spec?.clusterIP ?? ''], ipFamilies: ['IPv4'] })
  deepStrictEqual(take(allocator, less, two), ["spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be 'SingleStack' to release the secondary cluster IP", "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be 'SingleStack' to release the secondary IP family"])
  // The cluster lost its second family: who has both keeps them.
  const later = make('10.43.0.0/16')
  later.load([two])
  const touched = service(structuredClone(two.spec) ?? {})
  deepStrictEqual([take(later, touched, two), touched.spec], [[], two.spec])
  const back = service({ ...structuredClone(two.spec), ipFamilyPolicy: 'SingleStack' })
  deepStrictEqual([take(allocator, back, two), back.spec?.clusterIPs, back.spec?.ipFamilies], [[], [one.spec?.clusterIP], ['IPv4']])
  deepStrictEqual(take(allocator, service({ clusterIP: second }, 'b')), [])
})

test('IPv6 addresses are given until the network is full, without its first', () => {
  const allocator = make('fd43::/124')
  const given = Array.from({ length: 14 }, (_, i) => {
    const s = service({}, `s${i}`)
    deepStrictEqual(take(allocator, s), [])
    return s.spec?.clusterIP ?? ''
  })
  deepStrictEqual(given.toSorted(), ['fd43::2', 'fd43::3', 'fd43::4', 'fd43::5', 'fd43::6', 'fd43::7', 'fd43::8', 'fd43::9', 'fd43::a', 'fd43::b', 'fd43::c', 'fd43::d', 'fd43::e', 'fd43::f'])
  deepStrictEqual(take(allocator, service({}, 'more')), ['spec.clusterIPs: Internal error: failed to allocate a serviceIP: range is full'])
  const wide = service({})
  deepStrictEqual(take(make('fd00::/48'), wide), [])
  ok(wide.spec?.clusterIP?.startsWith('fd00:0:0:') || wide.spec?.clusterIP?.startsWith('fd00::'), wide.spec?.clusterIP ?? '')
})

test('static bands have upstream\'s sizes, and a bad network is refused with the flag\'s name', () => {
  deepStrictEqual([65_534, 254, 14, 4094].map((n) => bandSize(n, { min: 16, max: 256, fraction: 16 })), [256, 16, 0, 255])
  deepStrictEqual(bandSize(2768, { min: 16, max: 128, fraction: 32 }), 86)
  deepStrictEqual([serviceAddress('10.43.0.0/16', 1), serviceAddress('10.43.7.9/16', 10), serviceAddress('fd43::7/112,10.43.0.0/16', 10)], ['10.43.0.1', '10.43.0.10', 'fd43::a'])
  for (const bad of ['10.43.0.0/30', 'fd43::/126', '10.43.0.0/16,10.44.0.0/16', '10.43.0.0/16,fd43::/112,fd44::/112']) throws(() => make(bad), { code: 'BAD_SERVICE_CIDR' })
  throws(() => make('nonsense'), /--service-cidr nonsense/)
})
