import { deepStrictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '#api/client/client.ts'
import type { ResourceClaimStatus, ResourceV1ResourceClaim as ResourceClaim, UserInfo } from '#api/types/index.ts'
import { admissionApi, admissionRequest } from '../admission.test-support.ts'
import type { Attributes } from '../auth.ts'
import { StatusError } from '../http/status.ts'
import { resourceClaimStrategy } from '../kinds/resource-claim.ts'
import { deviceClaimStatus } from './device-claim-status.ts'

const REF = { group: 'resource.k8s.io', version: 'v1', resource: 'resourceclaims', kind: 'ResourceClaim', namespaced: true }
const ON_N1 = { nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n1'] }] }] }
const ALLOCATED: ResourceClaimStatus = { allocation: { nodeSelector: ON_N1, devices: { results: [{ request: 'r', driver: 'd.example.com', pool: 'p', device: 'x' }] } } }
const TOLD: ResourceClaimStatus = { ...ALLOCATED, devices: [{ driver: 'd.example.com', pool: 'p', device: 'x', data: { a: 1 } }] }
const JANE: UserInfo = { name: 'jane', groups: [] }
const driverOn = (node: string): UserInfo => ({ name: 'system:serviceaccount:ns:driver', groups: [], extra: { 'authentication.kubernetes.io/node-name': [node] } })

/** What was asked of the authorizer, and what the client is told; '' when it may. */
async function write(user: UserInfo, status: ResourceClaimStatus, old: ResourceClaimStatus, allowed: readonly string[]): Promise<{ asked: string[]; told: string[] }> {
  const asked: string[] = []
  const authorize = ({ verb, resource }: Attributes) => {
    const text = `${verb} ${resource?.subresource ?? ''} ${resource?.namespace ?? ''}/${resource?.name ?? ''}`
    asked.push(text)
    return Promise.resolve({ allowed: allowed.includes(text), reason: '' })
  }
  const claim = (of: ResourceClaimStatus): ResourceClaim => ({ metadata: { name: 'c' }, spec: {}, status: of })
  const api = admissionApi({} as Client, { authorizer: { authorize, rulesFor: () => Promise.resolve({ resourceRules: [], nonResourceRules: [], incomplete: false }) } })
  try {
    await deviceClaimStatus.validate?.(admissionRequest({ ref: REF, operation: 'UPDATE', verb: 'update', subresource: 'status', namespace: 'ns', name: 'c', user, object: claim(status), old: claim(old) }), api)
    return { asked, told: [] }
  } catch (error) {
    if (!(error instanceof StatusError)) throw error
    return { asked, told: (error.body.details?.causes ?? []).map((c) => `${c.field}: ${c.message}`) }
  }
}

test('an allocation takes the right to bind claims, at the cluster scope', async () => {
  deepStrictEqual(await write(JANE, ALLOCATED, {}, ['update binding /']), { asked: ['update binding /'], told: [] })
  deepStrictEqual(await write(JANE, { ...ALLOCATED, reservedFor: [{ resource: 'pods', name: 'p', uid: 'u' }] }, ALLOCATED, []), { asked: ['update binding /'], told: [
    'status.allocation: Forbidden: changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="update" permission: resourceclaims.resource.k8s.io is forbidden: User "jane" cannot update resource "resourceclaims/binding" in API group "resource.k8s.io" at the cluster scope',
  ] })
})

test('what is said of devices takes the right to speak for their driver: anywhere, or on the node that one is on', async () => {
  deepStrictEqual(await write(JANE, TOLD, ALLOCATED, ['arbitrary-node:update driver ns/d.example.com']), { asked: ['arbitrary-node:update driver ns/d.example.com'], told: [] })
  deepStrictEqual(await write(JANE, ALLOCATED, TOLD, []), { asked: ['arbitrary-node:update driver ns/d.example.com'], told: [
    'status.devices: Forbidden: changing status.devices requires resource="resourceclaims/driver", verb="[arbitrary-node:update]" permission: resourceclaims.resource.k8s.io "d.example.com" is forbidden: User "jane" cannot arbitrary-node:update resource "resourceclaims/driver" in API group "resource.k8s.io" in the namespace "ns"',
  ] })
  deepStrictEqual(await write(driverOn('n1'), TOLD, ALLOCATED, ['associated-node:update driver ns/d.example.com']), { asked: ['associated-node:update driver ns/d.example.com'], told: [] })
  deepStrictEqual((await write(driverOn('n1'), TOLD, ALLOCATED, [])).asked, ['associated-node:update driver ns/d.example.com', 'arbitrary-node:update driver ns/d.example.com'])
  deepStrictEqual((await write(driverOn('n2'), TOLD, ALLOCATED, [])).asked, ['arbitrary-node:update driver ns/d.example.com'])
  deepStrictEqual(await write(JANE, TOLD, TOLD, []), { asked: [], told: [] })
})

test('the status of devices goes with their allocation', () => {
  const old: ResourceClaim = { metadata: { name: 'c' }, spec: { devices: {} }, status: TOLD }
  const changed: ResourceClaim = { metadata: { name: 'c' }, spec: {}, status: { ...structuredClone(TOLD), allocation: { devices: { results: [] } } } }
  resourceClaimStrategy.prepareStatusUpdate?.(changed, old, { nowMs: 0, random: { next: () => 0, bytes: (n) => Buffer.alloc(n) }, user: JANE })
  deepStrictEqual(changed, { metadata: { name: 'c' }, spec: { devices: {} }, status: { allocation: { devices: { results: [] } } } })
})
