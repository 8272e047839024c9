import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isStaleFlow, noteStale, nothingStale } from './conntrack.ts'
import { serviceRules } from './rules.ts'
import { service, slice } from './testing/fixtures.ts'

const ports = [{ name: 'dns', port: 5353, protocol: 'UDP' }]
const dns = service({ name: 'dns', spec: { type: 'NodePort', clusterIP: '10.43.0.9', externalIPs: ['192.0.2.7'], ports: [{ name: 'dns', port: 53, nodePort: 30053, protocol: 'UDP' }] } })
const rules = (endpoints: string[]) => serviceRules(dns, endpoints.length > 0 ? [slice({ service: 'dns', ports, endpoints })] : [], { nodeName: 'here', clusterCidr: '10.42.0.0/16' })
const stale = (before: string[] | undefined, after: string[] | undefined) => {
  const found = nothingStale()
  noteStale(found, before && rules(before), after && rules(after))
  return { fronts: [...found.fronts], backends: [...found.backends] }
}

test('an endpoint that goes leaves stale flows, and so does the first that comes', () => {
  assert.deepEqual(stale(['10.42.0.5', '10.42.0.6'], ['10.42.0.6', '10.42.0.7']), { fronts: [], backends: ['10.42.0.5 5353'] })
  assert.deepEqual(stale(['10.42.0.5'], undefined), { fronts: [], backends: ['10.42.0.5 5353'] })
  assert.deepEqual(stale([], ['10.42.0.5']), { fronts: ['10.43.0.9 53', '192.0.2.7 53', '* 30053'], backends: [] })
  assert.deepEqual(stale(['10.42.0.5'], ['10.42.0.5']), { fronts: [], backends: [] })
})

test('only flows that lead to what is gone, or nowhere, are stale', () => {
  const found = { fronts: new Set(['10.43.0.9 53', '* 30053']), backends: new Set(['10.42.0.5 5353']) }
  const flow = (destination: string, destinationPort: number, source: string, sourcePort: number) => ({ original: { source: '10.42.0.2', sourcePort: 4000, destination, destinationPort }, reply: { source, sourcePort } })
  assert.equal(isStaleFlow(flow('10.43.0.9', 53, '10.42.0.5', 5353), found), true)
  assert.equal(isStaleFlow(flow('10.43.0.9', 53, '10.42.0.6', 5353), found), false, 'translated to an endpoint that stays')
  assert.equal(isStaleFlow(flow('10.43.0.9', 53, '10.43.0.9', 53), found), true, 'not translated')
  assert.equal(isStaleFlow(flow('192.0.2.1', 30053, '192.0.2.1', 30053), found), true, 'a node port, not translated')
  assert.equal(isStaleFlow(flow('10.42.0.5', 5353, '10.42.0.5', 5353), found), false, 'straight to the pod')
})
