import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import type { ServiceCIDR, Stored } from '#api/types/index.ts'
import { coverage } from '../service-networks.ts'
import { decideServiceCidr, FINALIZER } from './decide.ts'

const cidr = (metadata: object = {}, status?: string): Stored<ServiceCIDR> => ({
  metadata: { name: 'x', uid: 'x', resourceVersion: '1', creationTimestamp: '', ...metadata }, spec: { cidrs: ['10.1.0.0/24'] },
  ...(status && { status: { conditions: [{ type: 'Ready', status, reason: '', message: '', lastTransitionTime: '' }] } }),
})
const kinds = (view: Parameters<typeof decideServiceCidr>[0]) => decideServiceCidr(view).actions.map((a) => (a.kind === 'writeCondition' ? `${a.condition.type}=${a.condition.status} ${a.condition.reason}` : a.kind))

test('a network gets its finalizer and is ready; one that goes waits for the addresses only it covers', () => {
  const going = { finalizers: [FINALIZER], deletionTimestamp: '2026-01-01T00:00:00Z' }
  deepStrictEqual(kinds({ cidr: cidr(), held: 0 }), ['addFinalizer', 'Ready=True '])
  deepStrictEqual(kinds({ cidr: cidr({ finalizers: [FINALIZER] }, 'True'), held: 5 }), [])
  deepStrictEqual(kinds({ cidr: cidr(going, 'True'), held: 1 }), ['Ready=False Terminating'])
  deepStrictEqual(kinds({ cidr: cidr(going, 'False'), held: 1 }), [])
  deepStrictEqual(kinds({ cidr: cidr(going, 'False'), held: 0 }), ['removeFinalizer'])
})

test('coverage knows both families', () => {
  const covers = coverage(['10.1.0.0/24', '2001:db8::/64'])
  deepStrictEqual(['10.1.0.9', '10.1.1.9', '2001:db8::1', '2001:db9::1'].map(covers), [true, false, true, false])
})
