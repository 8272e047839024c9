import assert from 'node:assert/strict'
import { it } from 'node:test'
import { decideServing, type SeenLease } from './decide-serving.ts'

const seen = (name: string, address: string, sinceMs: number, holder = name): SeenLease => ({
  lease: { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: `skiff-server-${name}`, namespace: 'kube-system', annotations: address === '' ? {} : { 'skiff.io/address': address } }, spec: { holderIdentity: holder } }, sinceMs,
})

it('those whose Leases changed lately serve; the first by name says so', () => {
  assert.deepEqual(decideServing([seen('c', '10.0.0.3', 20_000), seen('a', '10.0.0.1', 1_000), seen('b', '10.0.0.2', 10_000)], 20_000), { addresses: ['10.0.0.2', '10.0.0.3'], publisher: 'b' })
})

it('one that gave its Lease back, or says no address, does not', () => {
  assert.deepEqual(decideServing([seen('a', '10.0.0.1', 0, ''), seen('b', '', 0), seen('c', '10.0.0.3', 0), seen('d', '10.0.0.3', 0)], 0), { addresses: ['10.0.0.3'], publisher: 'c' })
})

it('nobody is nobody', () => assert.deepEqual(decideServing([], 0), { addresses: [], publisher: undefined }))
