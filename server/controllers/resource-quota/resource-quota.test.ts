import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluatorOf } from '#api/quota/index.ts'
import { CONFIG_MAPS, DEVICE_CLASSES, PODS, RESOURCE_CLAIMS, RESOURCE_QUOTAS, SERVICE_ACCOUNTS, type ConfigMap, type DeviceClass, type Pod, type ResourceQuota, type ResourceV1ResourceClaim } from '#api/types/index.ts'
import { ApiError } from '#api/client/client.ts'
import { seededRandom } from '#base/random.ts'
import { startCluster, type TestCluster } from '../cluster.test-support.ts'
import { decideResourceQuota } from './decide.ts'

const quota = (hard: Record<string, string>, over: object = {}): ResourceQuota => ({ apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'q', namespace: 'default' }, spec: { hard, ...over } })
const pod = (name: string, requests?: Record<string, string>): Pod => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'c', image: 'i', ...(requests && { resources: { requests } }) }] } })
const configMap = (name: string): ConfigMap => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' } })

async function counted(cluster: TestCluster, used: Record<string, string>): Promise<void> {
  await cluster.until(`the quota says ${JSON.stringify(used)}`, async () => assert.deepStrictEqual((await cluster.client.get<ResourceQuota>(RESOURCE_QUOTAS, 'q', 'default')).status?.used, used))
}

async function withQuota(hard: Record<string, string>, used: Record<string, string>, over: object = {}): Promise<TestCluster> {
  const cluster = await startCluster()
  await cluster.until('the account is there', () => cluster.client.get(SERVICE_ACCOUNTS, 'default', 'default').then(() => undefined))
  await cluster.client.create(RESOURCE_QUOTAS, quota(hard, over))
  await counted(cluster, used)
  return cluster
}

test('a hundred writers at once never get more than the quota, and what is deleted can be had again', async () => {
  await using cluster = await withQuota({ pods: '7', 'requests.cpu': '10' }, { pods: '0', 'requests.cpu': '0' })
  const make = (i: number) => cluster.client.create(PODS, pod(`p${i}`, { cpu: '100m' })).then(() => 'made', (error: unknown) => (error instanceof ApiError && error.message.includes('exceeded quota: q, requested: pods=1, used: pods=7, limited: pods=7') ? 'refused' : error))
  const outcomes = await Promise.all(Array.from({ length: 100 }, (_, i) => make(i)))
  assert.deepStrictEqual([outcomes.filter((o) => o === 'made').length, outcomes.filter((o) => o === 'refused').length, (await cluster.client.list(PODS, { namespace: 'default' })).items.length], [7, 93, 7])
  await counted(cluster, { pods: '7', 'requests.cpu': '700m' })
  for (const { metadata } of (await cluster.client.list(PODS, { namespace: 'default' })).items.slice(0, 2)) await cluster.client.delete(PODS, metadata.name, 'default', { gracePeriodSeconds: 0 })
  await counted(cluster, { pods: '5', 'requests.cpu': '500m' })
  assert.equal(await make(200), 'made')
})

test('pods must say what is limited; those that end give it back', async () => {
  await using cluster = await withQuota({ 'limits.memory': '1Gi', 'count/pods': '9' }, { 'limits.memory': '0', 'count/pods': '0' })
  const refused = await cluster.client.create(PODS, pod('p')).then(() => '', (error: unknown) => (error as ApiError).message)
  assert.equal(refused, 'pods "p" is forbidden: failed quota: q: must specify limits.memory for: c')
  const made = await cluster.client.create<Pod>(PODS, { ...pod('p'), spec: { containers: [{ name: 'c', image: 'i', resources: { limits: { memory: '512Mi' } } }] } })
  await counted(cluster, { 'limits.memory': '512Mi', 'count/pods': '1' })
  await cluster.client.update<Pod>(PODS, { ...made, status: { phase: 'Succeeded' } }, { subresource: 'status' })
  await counted(cluster, { 'limits.memory': '0', 'count/pods': '1' })
})

test('any kind can be counted, by its old name too', async () => {
  // The root CA's ConfigMap is there already.
  await using cluster = await withQuota({ configmaps: '3', 'count/configmaps': '3', 'count/deployments.apps': '0' }, { configmaps: '1', 'count/configmaps': '1', 'count/deployments.apps': '0' })
  await cluster.client.create(CONFIG_MAPS, configMap('a'))
  await cluster.client.create(CONFIG_MAPS, configMap('b'))
  await assert.rejects(cluster.client.create(CONFIG_MAPS, configMap('c')), { message: 'configmaps "c" is forbidden: exceeded quota: q, requested: configmaps=1,count/configmaps=1, used: configmaps=3,count/configmaps=3, limited: configmaps=3,count/configmaps=3' })
  await cluster.client.delete(CONFIG_MAPS, 'a', 'default')
  await counted(cluster, { configmaps: '2', 'count/configmaps': '2', 'count/deployments.apps': '0' })
})

test('devices are counted by class and by extended resource: of pods by what they ask, of claims by what they may get', async () => {
  const [count, devices, implicit, explicit] = ['count/resourceclaims.resource.k8s.io', 'gpus.deviceclass.resource.k8s.io/devices', 'requests.deviceclass.resource.kubernetes.io/gpus', 'requests.example.com/gpu'] as const
  const used = (claims: string, of: string, by: string, named: string) => ({ [count]: claims, [devices]: of, [implicit]: by, [explicit]: named })
  await using cluster = await withQuota(used('3', '5', '6', '5'), used('0', '0', '0', '0'))
  const { client } = cluster
  await client.create<DeviceClass>(DEVICE_CLASSES, { apiVersion: 'resource.k8s.io/v1', kind: 'DeviceClass', metadata: { name: 'gpus' }, spec: { extendedResourceName: 'example.com/gpu' } })
  const claim = (name: string, n: number, metadata: object = {}) => client.create<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, { apiVersion: 'resource.k8s.io/v1', kind: 'ResourceClaim', metadata: { name, namespace: 'default', ...metadata }, spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpus', count: n } }] } } })
  await claim('a', 3)
  await counted(cluster, used('1', '3', '3', '3'))
  const asks = { 'example.com/gpu': '2' }
  const made = await client.create<Pod>(PODS, { ...pod('p'), spec: { containers: [{ name: 'c', image: 'i', resources: { requests: asks, limits: asks } }] } })
  await counted(cluster, used('1', '3', '3', '5'))
  // As the scheduler makes it for what the pod was charged for.
  await claim('of-p', 2, { annotations: { 'resource.kubernetes.io/extended-resource-claim': 'true' }, ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p', uid: made.metadata.uid, controller: true }] })
  await counted(cluster, used('2', '5', '5', '5'))
  await assert.rejects(claim('b', 1), { message: `resourceclaims.resource.k8s.io "b" is forbidden: exceeded quota: q, requested: ${devices}=1,${explicit}=1, used: ${devices}=5,${explicit}=5, limited: ${devices}=5,${explicit}=5` })
  // Counted anew, it is the same but for what is gone.
  await client.delete(RESOURCE_CLAIMS, 'a', 'default')
  await counted(cluster, used('1', '2', '2', '2'))
})

test('kinds that nobody has do not hold up the others', async () => {
  await using cluster = await startCluster()
  await cluster.client.create(RESOURCE_QUOTAS, quota({ 'count/widgets.example.com': '1', 'count/jobs.batch': '1', 'count/roles.rbac.authorization.k8s.io': '2', secrets: '5' }))
  await counted(cluster, { 'count/jobs.batch': '0', 'count/roles.rbac.authorization.k8s.io': '0', secrets: '0' })
})

test('a quota of a scope counts only what is in it', async () => {
  await using cluster = await withQuota({ pods: '1' }, { pods: '0' }, { scopes: ['BestEffort'] })
  await cluster.client.create(PODS, pod('a', { cpu: '1' }))
  await cluster.client.create(PODS, pod('b'))
  await assert.rejects(cluster.client.create(PODS, pod('c')), { message: 'pods "c" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1' })
  await counted(cluster, { pods: '1' })
})

test('a lower count waits while something was charged just now, but not for ever', () => {
  const view = (chargedMs: number | undefined, heldMs: number | undefined) => ({
    quota: { ...quota({ pods: '5' }), metadata: { name: 'q', namespace: 'default', uid: 'u', resourceVersion: '1', creationTimestamp: '' }, status: { hard: { pods: '5' }, used: { pods: '2' } } },
    measured: [{ evaluator: evaluatorOf('', 'pods'), objects: [pod('a')] }], chargedMs, heldMs, isPartial: false,
  })
  const at = (chargedMs: number | undefined, heldMs?: number) => {
    const { actions, wakeAtMs } = decideResourceQuota(view(chargedMs, heldMs), { nowMs: 100_000, random: seededRandom(1) })
    return [actions, wakeAtMs]
  }
  const write = [{ kind: 'writeStatus', status: { hard: { pods: '5' }, used: { pods: '1' } } }]
  assert.deepStrictEqual([at(undefined), at(99_900), at(99_000), at(99_900, 90_000)], [[write, 400_000], [[], 100_400], [write, 400_000], [write, 400_000]])
})
