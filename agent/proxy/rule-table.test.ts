import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { diffTable } from '#cni/index.ts'
import { nftModel } from '#cni/testing/nft-model.ts'
import { baseTable } from './base-table.ts'
import { RuleTable } from './rule-table.ts'
import { serviceRules } from './rules.ts'
import { service, slice } from './testing/fixtures.ts'

const context = { nodeName: 'here', clusterCidr: '10.42.0.0/16' }
const newTable = () => new RuleTable(baseTable({ nodeIps: ['192.0.2.1'], serviceCidr: '10.43.0.0/16' }))

/** Services that fight over one external IP and node port, gain and lose endpoints and affinity. */
const change = fc.record({
  name: fc.constantFrom('a', 'b', 'c'),
  gone: fc.boolean(),
  endpoints: fc.subarray(['10.42.0.5', '10.42.0.6', '10.42.1.7']),
  affinity: fc.boolean(),
  external: fc.boolean(),
})

function rulesOf(c: { name: string; gone: boolean; endpoints: string[]; affinity: boolean; external: boolean }) {
  if (c.gone) return undefined
  const s = service({
    name: c.name,
    spec: {
      type: 'NodePort', clusterIP: `10.43.0.${c.name.charCodeAt(0)}`, ports: [{ port: 80, protocol: 'TCP', nodePort: 30080 }],
      ...(c.external && { externalIPs: ['192.0.2.200'] }), ...(c.affinity && { sessionAffinity: 'ClientIP' }),
    },
  })
  return serviceRules(s, c.endpoints.length > 0 ? [slice({ service: c.name, endpoints: c.endpoints })] : [], context)
}

test('however Services change, small transactions lead where a full comparison would, and the kernel refuses none', () => {
  fc.assert(fc.property(fc.array(fc.array(change, { maxLength: 3 }), { maxLength: 12 }), (batches) => {
    const table = newTable()
    const kernel = nftModel()
    kernel.apply(diffTable(undefined, table.desired).commands)
    const latest = new Map<string, (typeof batches)[0][0]>()
    for (const batch of batches) {
      for (const c of batch) {
        table.put(`default/${c.name}`, rulesOf(c))
        latest.set(c.name, c)
      }
      kernel.apply(table.commands())
      table.settled()
      if (batch.length === 1) kernel.apply(table.sweepCommands())
    }
    kernel.apply(table.sweepCommands())
    assert.deepEqual(diffTable(kernel.read(), table.desired).commands, [])
    // A table built afresh from what is there in the end is the same: no trace of the way.
    const fresh = newTable()
    for (const c of latest.values()) fresh.put(`default/${c.name}`, rulesOf(c))
    assert.deepEqual(diffTable(kernel.read(), fresh.desired).commands, [])
  }), { numRuns: 200 })
})

test('two Services that claim one external IP: the first by name has it, the other takes over when it goes', () => {
  const table = newTable()
  const get = () => table.desired.sets.get('service-ips')?.elements.get('192.0.2.200 . tcp . 80')
  const shape = { gone: false, endpoints: ['10.42.0.5'], affinity: false, external: true }
  table.put('default/b', rulesOf({ ...shape, name: 'b' }))
  assert.match(get() ?? '', /default\/b\//)
  table.put('default/a', rulesOf({ ...shape, name: 'a' }))
  assert.match(get() ?? '', /default\/a\//)
  table.put('default/a', undefined)
  assert.match(get() ?? '', /default\/b\//)
  table.put('default/b', undefined)
  assert.equal(get(), undefined)
})

test('putting the same rules again is no change', () => {
  const table = newTable()
  const shape = { name: 'a', gone: false, endpoints: ['10.42.0.5'], affinity: true, external: true }
  table.put('default/a', rulesOf(shape))
  assert.notDeepEqual(table.commands(), [])
  table.settled()
  table.put('default/a', rulesOf(shape))
  assert.deepEqual(table.commands(), [])
})
