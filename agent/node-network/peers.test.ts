import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Node, Stored } from '#api/types/index.ts'
import { peersOf, VTEP_MAC_ANNOTATION } from './peers.ts'

const node = (name: string, ip?: string, podCIDR?: string, mac?: string): Stored<Node> => ({
  metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '', ...(mac && { annotations: { [VTEP_MAC_ANNOTATION]: mac } }) },
  spec: { ...(podCIDR && { podCIDR }) },
  status: { addresses: [{ type: 'Hostname', address: name }, ...(ip ? [{ type: 'InternalIP', address: ip }] : [])] },
})

it('every other node with an address and a pod CIDR is a peer', () => {
  const nodes = [node('me', '10.0.0.1', '10.42.0.0/24'), node('a', '10.0.0.2', '10.42.1.0/24', '0a:00:00:00:00:02'), node('no-cidr', '10.0.0.3'), node('no-ip', undefined, '10.42.3.0/24'), node('b', '10.0.0.4', '10.42.4.0/24')]
  assert.deepEqual(peersOf(nodes, 'me'), [
    { nodeName: 'a', nodeIp: '10.0.0.2', podCidr: '10.42.1.0/24', vtepMac: '0a:00:00:00:00:02' },
    { nodeName: 'b', nodeIp: '10.0.0.4', podCidr: '10.42.4.0/24', vtepMac: undefined },
  ])
})
