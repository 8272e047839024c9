import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod, ResourceV1ResourceClaim, Stored } from '#api/types/index.ts'
import { aContainer, aPod } from '../testing/builders.ts'
import { HEALTHS } from './calls.ts'
import { cdiDevicesOf, claimRefusal, claimsOfPod, claimStatuses, requestsOf } from './claims.ts'
import { differs, expiresInMs, healthOf, takeHealth } from './health.ts'
import { chooseService } from './services.ts'
import type { Claim } from './state.ts'

const TEMPLATE = { name: 'own', resourceClaimTemplateName: 't' }
const BY_NAME = { name: 'shared', resourceClaimName: 'lamps' }

const withStatus = (pod: Stored<Pod>, status: NonNullable<Pod['status']>): Stored<Pod> => ({ ...pod, status })

test('the claims of a pod are those it names, those made from its templates, and that of its extended resources', () => {
  const pod = aPod({ resourceClaims: [BY_NAME, TEMPLATE, { name: 'needless', resourceClaimTemplateName: 'n' }] })
  const status = { resourceClaimStatuses: [{ name: 'own', resourceClaimName: 'web-own-x' }, { name: 'needless' }], extendedResourceClaimStatus: { resourceClaimName: 'web-extended', requestMappings: [] } }
  assert.deepEqual(claimsOfPod(withStatus(pod, status)), { ok: true, claims: [{ name: 'lamps', isOwn: false }, { name: 'web-own-x', isOwn: true }, { name: 'web-extended', isOwn: false }] })
  assert.deepEqual(claimsOfPod(pod), { ok: false, message: 'pod "default/web": ResourceClaim not created yet' })
  assert.deepEqual(claimsOfPod(aPod({ resourceClaims: [{ name: 'none' }] })), { ok: false, message: 'pod "default/web", spec.resourceClaim "none": none of the supported fields are set' })
})

test('a claim is prepared for a pod that it is allocated to and reserved for, and that owns it where it was made for it', () => {
  const claim = (status: ResourceV1ResourceClaim['status'], owner = 'u1'): Stored<ResourceV1ResourceClaim> => ({
    metadata: { name: 'lamps', namespace: 'default', uid: 'c1', resourceVersion: '1', creationTimestamp: '', ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'web', uid: owner, controller: true }] }, spec: {}, ...(status && { status }),
  })
  const reservedFor = [{ resource: 'pods', name: 'web', uid: 'u1' }]
  const ask = (status: ResourceV1ResourceClaim['status'], isOwn = true, owner?: string) => claimRefusal(aPod(), claim(status, owner), { name: 'lamps', isOwn })
  assert.equal(ask({ reservedFor, allocation: {} }), undefined)
  assert.equal(ask({ reservedFor, allocation: {} }, false, 'u2'), undefined)
  assert.equal(ask({ reservedFor, allocation: {} }, true, 'u2'), 'ResourceClaim default/lamps was not created for Pod default/web (Pod is not owner)')
  assert.equal(ask({ allocation: {}, reservedFor: [{ resource: 'pods', name: 'web', uid: 'u2' }] }), 'pod web (u1) is not allowed to use ResourceClaim lamps (c1)')
  assert.equal(ask({ reservedFor }), 'ResourceClaim lamps: not allocated')
})

const CLAIM: Claim = {
  namespace: 'default', name: 'lamps', uid: 'c1', pods: ['u1'],
  drivers: { 'a.example.com': [{ pool: 'p', device: 'red', share: '', requests: ['r1'], cdi: ['a.example.com/lamp=red', 'a.example.com/lamp=all'] }, { pool: 'p', device: 'blue', share: '', requests: ['r2'], cdi: ['a.example.com/lamp=blue', 'a.example.com/lamp=all'] }], 'b.example.com': [{ pool: 'p', device: 'bell', share: '', requests: [], cdi: ['b.example.com/bell=1'] }] },
}

test('a container that names a request has the devices of that request, and those that are of no request; one that names none has all', () => {
  assert.deepEqual(cdiDevicesOf(CLAIM, ['r1']), ['a.example.com/lamp=red', 'a.example.com/lamp=all', 'b.example.com/bell=1'])
  assert.deepEqual(cdiDevicesOf(CLAIM, ['r2/first']), ['a.example.com/lamp=blue', 'a.example.com/lamp=all', 'b.example.com/bell=1'])
  assert.deepEqual(cdiDevicesOf(CLAIM, ['']), ['a.example.com/lamp=red', 'a.example.com/lamp=all', 'a.example.com/lamp=blue', 'b.example.com/bell=1'])
  assert.deepEqual(cdiDevicesOf(CLAIM, []), [])
})

test('a container names its claims by the pod\'s names for them, its extended resources by their mappings', () => {
  const container = aContainer('app', { resources: { claims: [{ name: 'shared', request: 'r1' }, { name: 'shared', request: 'r2' }, { name: 'unknown' }], requests: { 'example.com/lamp': '1', 'example.com/bell': '0' } } })
  const pod = withStatus(aPod({ containers: [container], resourceClaims: [BY_NAME] }), { extendedResourceClaimStatus: { resourceClaimName: 'web-extended', requestMappings: [
    { containerName: 'app', resourceName: 'example.com/lamp', requestName: 'x1' }, { containerName: 'app', resourceName: 'example.com/bell', requestName: 'x2' }, { containerName: 'other', resourceName: 'example.com/lamp', requestName: 'x3' },
  ] } })
  assert.deepEqual([...requestsOf(pod, container)], [['lamps', ['r1', 'r2']], ['web-extended', ['x1']]])
  assert.deepEqual([...requestsOf(pod, aContainer('none'))], [])
})

test('a plugin\'s first service that is known is used; one that has none is told so in upstream\'s words', () => {
  const choose = (...supportedVersions: string[]) => chooseService({ name: 'lamps', endpoint: '/e.sock', supportedVersions })
  assert.deepEqual(choose('v2.DRAPlugin', 'v1beta1.DRAPlugin', 'v1.DRAPlugin'), { ok: true, service: 'v1beta1.DRAPlugin' })
  assert.deepEqual(choose('v1.DRAPlugin', 'v1alpha1.DRAResourceHealth'), { ok: true, service: 'v1.DRAPlugin' })
  assert.deepEqual(choose(), { ok: false, message: 'invalid supported gRPC versions of DRA driver plugin lamps at endpoint /e.sock: empty list of supported gRPC services (aka supported versions)' })
  assert.deepEqual(choose('v1alpha3', '1.0'), { ok: false, message: 'invalid supported gRPC versions of DRA driver plugin lamps at endpoint /e.sock: none of services supported by the plugin (["v1alpha3" "1.0"]) are supported by the kubelet (["v1.DRAPlugin" "v1beta1.DRAPlugin"])' })
})

const told = (deviceName: string, health: (typeof HEALTHS)[number], message = '', healthCheckTimeoutSeconds = 0) => ({ device: { poolName: 'p', deviceName }, health: HEALTHS.indexOf(health), message, lastUpdatedTime: 0, healthCheckTimeoutSeconds })

test('the health of a device counts for as long as its driver says, half a minute else; what a driver leaves out is as it was until then', () => {
  const first = takeHealth(new Map(), [told('red', 'Healthy'), told('blue', 'Unhealthy', 'no light', 5)], 0)
  const of = (known: typeof first, device: string, nowMs: number) => healthOf(known, 'p', device, nowMs)
  assert.deepEqual([of(first, 'red', 30_000), of(first, 'red', 30_001), of(first, 'blue', 5_000), of(first, 'blue', 5_001), of(first, 'green', 0)], [
    { health: 'Healthy', message: '' }, { health: 'Unknown', message: '' }, { health: 'Unhealthy', message: 'no light' }, { health: 'Unknown', message: '' }, { health: 'Unknown', message: '' },
  ])
  assert.equal(expiresInMs([first], 1_000), 4_001)
  assert.equal(expiresInMs([], 0), undefined)
  const second = takeHealth(first, [told('blue', 'Unhealthy', 'no light', 5)], 4_000)
  assert.equal(differs(first, second), false)
  const third = takeHealth(second, [told('red', 'Healthy')], 10_000)
  assert.deepEqual([differs(second, third), of(third, 'blue', 10_000).health], [true, 'Unknown'])
  assert.equal(differs(third, takeHealth(third, [told('red', 'Healthy', 'warm')], 10_000)), true)
})

test('a message about a device\'s health is cut where it is longer than the API takes', () => {
  const [message] = [...takeHealth(new Map(), [told('red', 'Unhealthy', 'ä'.repeat(600))], 0).values()].map((d) => d.message)
  assert.deepEqual([message?.endsWith('ä...'), Buffer.byteLength(message ?? '') <= 1_024], [true, true])
})

test('a container\'s status has each device of its claims once, by the name that its runtime knows', () => {
  const container = aContainer('app', { resources: { claims: [{ name: 'shared', request: 'r2' }, { name: 'shared' }] } })
  const pod = aPod({ containers: [container], resourceClaims: [BY_NAME] })
  const twice: Claim = { ...CLAIM, drivers: { ...CLAIM.drivers, 'b.example.com': [{ pool: 'p', device: 'bell', share: 's1', requests: [], cdi: [] }, { pool: 'p', device: 'bell', share: 's2', requests: [], cdi: [] }] } }
  const health = (_: string, __: string, device: string) => (device === 'blue' ? { health: 'Unhealthy', message: 'no light' } : { health: 'Healthy', message: '' })
  const [bell, blue] = [{ resourceID: 'b.example.com/p/bell', health: 'Healthy' }, { resourceID: 'a.example.com/lamp=blue', health: 'Unhealthy', message: 'no light' }]
  assert.deepEqual(claimStatuses(pod, container, (name) => (name === 'lamps' ? twice : undefined), health), [
    { name: 'claim:shared', resources: [{ resourceID: 'a.example.com/lamp=red', health: 'Healthy' }, blue, bell] }, { name: 'claim:shared/r2', resources: [blue, bell] },
  ])
  assert.deepEqual(claimStatuses(pod, container, () => undefined, health), [])
})
