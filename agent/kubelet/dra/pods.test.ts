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
