import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, SERVICE_ACCOUNTS, type PersistentVolume, type PersistentVolumeClaim, type Pod, type Stored } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import { startCluster, type TestCluster } from './cluster.test-support.ts'
import { decideProtection } from './protection-finalizer.ts'
import { claimsUsed } from './pvc-protection/uses.ts'

const CLAIM: PersistentVolumeClaim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'data', namespace: 'default' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }
const VOLUME: PersistentVolume = { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: 'disk' }, spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, hostPath: { path: '/x' } } }

const gone = (cluster: TestCluster, what: string, get: () => Promise<unknown>) => cluster.until(`${what} is gone`, () => get().then(() => assert.fail('still there'), (error: unknown) => assert.ok(isReason(error, 'NotFound'))))

test('a claim outlives its deletion until the pod that uses it is gone', async () => {
  await using cluster = await startCluster()
  const { client } = cluster
  await cluster.until('the account is there', () => client.get(SERVICE_ACCOUNTS, 'default', 'default').then(() => undefined))
  await cluster.addNode('n1')
  const made = await client.create(PERSISTENT_VOLUME_CLAIMS, CLAIM)
  assert.deepStrictEqual(made.metadata.finalizers, ['kubernetes.io/pvc-protection'])
  await client.create<Pod>(PODS, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'default' }, spec: { containers: [{ name: 'c', image: 'i' }], volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] } })
  await cluster.until('the pod runs', async () => assert.equal((await client.get<Pod>(PODS, 'p', 'default')).status?.phase, 'Running'))
  await client.delete(PERSISTENT_VOLUME_CLAIMS, 'data', 'default')
  const going = await client.get(PERSISTENT_VOLUME_CLAIMS, 'data', 'default')
  assert.deepStrictEqual([going.metadata.deletionTimestamp !== undefined, going.metadata.finalizers], [true, ['kubernetes.io/pvc-protection']])
  await client.delete(PODS, 'p', 'default')
  await gone(cluster, 'the claim', () => client.get(PERSISTENT_VOLUME_CLAIMS, 'data', 'default'))
})

test('a bound volume stays until it is released', async () => {
  await using cluster = await startCluster()
  const { client } = cluster
  const made = await client.create(PERSISTENT_VOLUMES, VOLUME)
  const bound = await client.update<PersistentVolume>(PERSISTENT_VOLUMES, { ...made, status: { phase: 'Bound' } }, { subresource: 'status' })
  assert.deepStrictEqual(bound.metadata.finalizers, ['kubernetes.io/pv-protection'])
  await client.delete(PERSISTENT_VOLUMES, 'disk')
  const going = await client.get<PersistentVolume>(PERSISTENT_VOLUMES, 'disk')
  await client.update<PersistentVolume>(PERSISTENT_VOLUMES, { ...going, status: { phase: 'Released' } }, { subresource: 'status' })
  await gone(cluster, 'the volume', () => client.get(PERSISTENT_VOLUMES, 'disk'))
})

test('the finalizer comes and goes by use and deletion', () => {
  const of = (metadata: object, isUsed: boolean) => decideProtection({ object: { apiVersion: 'v1', kind: 'X', metadata: { name: 'x', uid: 'u', resourceVersion: '1', creationTimestamp: '', ...metadata } } as Stored<PersistentVolume>, finalizer: 'f', isUsed }).actions
  const going = { deletionTimestamp: '2026-01-01T00:00:00Z' }
  assert.deepStrictEqual([of({}, false), of({ finalizers: ['f'] }, false), of({ ...going, finalizers: ['f', 'g'] }, true), of({ ...going, finalizers: ['f'] }, false), of(going, false)], [[{ kind: 'add' }], [], [], [{ kind: 'remove' }], []])
})

test('pods use claims once they have a node; ephemeral ones until they are shut down', () => {
  const pod = (spec: object, metadata: object = {}) => claimsUsed({ metadata: { name: 'p', namespace: 'ns', ...metadata }, spec: { containers: [], volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'a' } }, { name: 'e', ephemeral: {} }], ...spec } } as unknown as Stored<Pod>)
  assert.deepStrictEqual([pod({}), pod({ nodeName: 'n' }), pod({ nodeName: 'n' }, { deletionTimestamp: 'x', deletionGracePeriodSeconds: 0 })], [[], ['ns/a', 'ns/p-e'], ['ns/a']])
})
