import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { silentLog } from '#base/log.ts'
import { listLinks, type Link } from '../netlink/links.ts'
import { changes, labMissing, NetnsLab } from '../testing/netns-lab.ts'
import type { OverlayEntry } from './desired.ts'
import { diffEntries } from './diff.ts'
import { createHostGatewayOverlay } from './host-gw/host-gw.ts'
import { createMemoryOverlay } from './memory/memory.ts'
import { overlayContract } from './overlay.contract.ts'
import type { Overlay } from './overlay.ts'
import { createVxlanOverlay, decideDevice } from './vxlan/vxlan.ts'

const self = { nodeIp: '192.168.77.1', podCidr: '10.42.0.0/24' }
const missing = await labMissing()

overlayContract('memory', async () => {
  const overlay = createMemoryOverlay(self, '02:00:00:00:00:01')
  let seen = 0
  return {
    overlay,
    takeChanges: () => {
      const since = overlay.changes() - seen
      seen = overlay.changes()
      return since
    },
    close: async () => undefined,
  }
})

for (const kind of ['vxlan', 'host-gw'] as const) {
  overlayContract(kind, async () => {
    const lab = await NetnsLab.open()
    const host = await lab.host('host')
    await host.sh('ip link add name skiff0 type bridge && ip link set skiff0 up && ip addr add 10.42.0.1/24 dev skiff0')
    const common = { exec: host.exec, log: silentLog, ...self, sourceAddress: '10.42.0.1' }
    const inner = kind === 'vxlan' ? createVxlanOverlay({ ...common, device: 'skiff.1' }) : createHostGatewayOverlay(common)
    const overlay: Overlay = { ...bind(inner), start: async () => inner.start({ links: await listLinks(host.exec) }) }
    return { overlay, takeChanges: () => changes(host.log.splice(0)).length, close: () => lab.close() }
  }, { skip: missing })
}

function bind(o: Overlay): Overlay {
  return { podMtu: (u) => o.podMtu(u), start: (c) => o.start(c), vtepMac: () => o.vtepMac(), setPeers: (p) => o.setPeers(p), reachable: () => o.reachable(), destroy: () => o.destroy() }
}

test('applying a difference gives the desired entries, and a second difference is empty', () => {
  const entry: fc.Arbitrary<OverlayEntry> = fc.record({ kind: fc.constantFrom('neighbour' as const, 'fdb' as const, 'route' as const), key: fc.constantFrom('a', 'b', 'c', 'd'), value: fc.constantFrom('x', 'y') })
  const entries = fc.uniqueArray(entry, { selector: (e) => `${e.kind} ${e.key}` })
  fc.assert(fc.property(entries, entries, (actual, desired) => {
    const id = (e: OverlayEntry) => `${e.kind} ${e.key}`
    const { remove, put } = diffEntries(actual, desired)
    const world = new Map(actual.map((e) => [id(e), e]))
    for (const e of remove) world.delete(id(e))
    for (const e of put) world.set(id(e), e)
    const sorted = (list: Iterable<OverlayEntry>) => [...list].map((e) => `${id(e)} ${e.value}`).sort()
    assert.deepEqual(sorted(world.values()), sorted(desired))
    assert.deepEqual(diffEntries([...world.values()], desired), { remove: [], put: [] })
  }))
})

const wish = { device: 'skiff.1', nodeIp: '192.168.77.1', mac: '02:aa:aa:aa:aa:aa', mtu: 1450, address: '10.42.0.1/32' }
const device: Link = { name: 'skiff.1', mac: wish.mac, mtu: 1450, isUp: true, master: undefined, kind: 'vxlan', alias: '', addresses: ['10.42.0.1/32'], vxlan: { id: 1, local: '192.168.77.1', port: 8472, learning: false } }

test('the VXLAN device is made, mended in place where that is possible, and made anew where it is not', () => {
  const made = [
    'link add name skiff.1 address 02:aa:aa:aa:aa:aa mtu 1450 type vxlan id 1 dstport 8472 local 192.168.77.1 nolearning',
    'link set dev skiff.1 addrgenmode none', 'link set dev skiff.1 up', 'addr add 10.42.0.1/32 dev skiff.1',
  ]
  const vxlan = device.vxlan
  assert.ok(vxlan)
  assert.deepEqual(decideDevice([], wish), made)
  assert.deepEqual(decideDevice([device], wish), [])
  assert.deepEqual(decideDevice([{ ...device, mtu: 1400, isUp: false, mac: '02:00:00:00:00:00', addresses: ['10.9.9.9/32'] }], wish), [
    'link set dev skiff.1 address 02:aa:aa:aa:aa:aa', 'link set dev skiff.1 mtu 1450', 'link set dev skiff.1 up', 'addr add 10.42.0.1/32 dev skiff.1', 'addr del 10.9.9.9/32 dev skiff.1',
  ])
  for (const other of [{ ...vxlan, local: '192.168.77.9' }, { ...vxlan, learning: true }, { ...vxlan, port: 4789 }]) {
    assert.deepEqual(decideDevice([{ ...device, vxlan: other }], wish), ['link del skiff.1', ...made])
  }
  assert.throws(() => decideDevice([{ ...device, name: 'flannel.1' }], wish), { code: 'VXLAN_TAKEN', message: /ip link del flannel\.1/ })
})
