/** Pods with claims on a node of tests, whose driver does not come. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PODS, RESOURCE_CLAIMS, type Pod, type ResourceV1ResourceClaim } from '#api/types/index.ts'
import { pod, startNodeWorld } from '../testing/node-world.ts'

test('a pod whose driver is not here does not begin, says so again and again, and goes when it is deleted', async (t) => {
  const w = await startNodeWorld(t)
  const claimed = w.create(pod('lit', { resourceClaims: [{ name: 'lamp', resourceClaimName: 'lamps' }] }))
  w.api.put<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, {
    apiVersion: 'resource.k8s.io/v1', kind: 'ResourceClaim', metadata: { name: 'lamps', namespace: 'default' }, spec: {},
    status: { allocation: { devices: { results: [{ driver: 'lamps.example.com', pool: 'p', device: 'red', request: 'r' }] } }, reservedFor: [{ resource: 'pods', name: 'lit', uid: claimed.metadata.uid }] },
  })
  const told = () => w.events.filter((e) => e.reason === 'FailedPrepareDynamicResources')
  await w.until('it was tried twice', () => told().length >= 2)
  assert.deepEqual(told()[0], { about: 'lit', type: 'Warning', reason: 'FailedPrepareDynamicResources', message: 'Failed to prepare dynamic resources: prepare dynamic resources: DRA driver lamps.example.com is not registered' })
  const { status } = w.pod('lit') as Pod
  assert.deepEqual([status?.phase, status?.containerStatuses?.[0]?.state?.waiting?.reason, (await w.runtime.listPodSandbox()).length], ['Pending', 'ContainerCreating', 0])
  w.api.deletePod(PODS, 'default/lit')
  await w.until('it is gone', () => w.pod('lit') === undefined)
})

test('a pod whose claim was not made yet goes on as soon as its status names it', async (t) => {
  const w = await startNodeWorld(t)
  const made = w.create(pod('lit', { resourceClaims: [{ name: 'lamp', resourceClaimTemplateName: 'lamps' }] }))
  const told = () => w.events.filter((e) => e.reason === 'FailedPrepareDynamicResources').map((e) => e.message)
  await w.until('it waits', () => told().length === 1)
  w.api.put<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, {
    apiVersion: 'resource.k8s.io/v1', kind: 'ResourceClaim', metadata: { name: 'lit-lamp', namespace: 'default', ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'lit', uid: made.metadata.uid, controller: true }] }, spec: {},
    status: { allocation: { devices: { results: [{ driver: 'lamps.example.com', pool: 'p', device: 'red', request: 'r' }] } }, reservedFor: [{ resource: 'pods', name: 'lit', uid: made.metadata.uid }] },
  })
  const atMs = w.clock.nowMs()
  const now = w.pod('lit') as Pod
  w.api.put<Pod>(PODS, { ...now, status: { ...now.status, resourceClaimStatuses: [{ name: 'lamp', resourceClaimName: 'lit-lamp' }] } })
  await w.until('it was tried again', () => told().length >= 2)
  assert.deepEqual([told(), w.clock.nowMs() - atMs], [['Failed to prepare dynamic resources: prepare dynamic resources: pod "default/lit": ResourceClaim not created yet', 'Failed to prepare dynamic resources: prepare dynamic resources: DRA driver lamps.example.com is not registered'], 0])
})
