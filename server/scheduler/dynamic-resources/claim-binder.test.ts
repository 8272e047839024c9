/** Claims on their way through the real API, controllers and scheduler; nodes are only objects. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createEventRecorder } from '#api/client/event-recorder.ts'
import { createInformers } from '#api/client/informer.ts'
import { DEVICE_CLASSES, NODES, PODS, RESOURCE_CLAIMS, RESOURCE_SLICES, type DeviceClass, type Node, type Pod, type ResourceSlice, type ResourceV1ResourceClaim, type Stored } from '#api/types/index.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { startCluster } from '#server/controllers/cluster.test-support.ts'
import { createScheduler } from '../scheduler.ts'

const DRIVER = 'lamps.example.com'

async function start(t: TestContext) {
  const cluster = await startCluster()
  const stop = new AbortController()
  const random = seededRandom(3)
  const informers = createInformers(cluster.client, { clock: cluster.clock, random, log: silentLog })
  const events = createEventRecorder(cluster.client, { component: 'default-scheduler', clock: cluster.clock, random, log: silentLog })
  // The placement of these is refused, once each.
  const refused = new Set<string>()
  const client: typeof cluster.client = {
    ...cluster.client,
    create: (ref, object, options) => (options?.subresource === 'binding' && refused.delete(object.metadata?.name ?? '') ? Promise.reject(new Error('no such luck')) : cluster.client.create(ref, object, options)),
  }
  const running = createScheduler({ client, informers, events, clock: cluster.clock, random, log: silentLog }).run(stop.signal)
  await informers.start(stop.signal)
  t.after(async () => {
    stop.abort()
    await running
    events.close()
    await cluster[Symbol.asyncDispose]()
  })
  await cluster.client.create<DeviceClass>(DEVICE_CLASSES, { apiVersion: 'resource.k8s.io/v1', kind: 'DeviceClass', metadata: { name: 'lamps' }, spec: { selectors: [{ cel: { expression: `device.driver == "${DRIVER}"` } }] } })
  const get = (name: string) => cluster.client.get<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, name, 'default')
  return {
    cluster, refused, get,
    pod: (name: string) => cluster.client.get<Pod>(PODS, name, 'default'),
    async node(name: string, ...devices: string[]) {
      const made = await cluster.client.create<Node>(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { 'kubernetes.io/hostname': name } } })
      await cluster.client.patch(NODES, made.metadata.name, undefined, 'application/merge-patch+json', { status: { allocatable: { cpu: '4', memory: '8Gi', pods: '110' }, conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: new Date().toISOString(), lastTransitionTime: new Date().toISOString() }] } }, { subresource: 'status' })
      await cluster.client.create<ResourceSlice>(RESOURCE_SLICES, { apiVersion: 'resource.k8s.io/v1', kind: 'ResourceSlice', metadata: { name }, spec: { driver: DRIVER, nodeName: name, pool: { name, generation: 1, resourceSliceCount: 1 }, devices: devices.map((device) => ({ name: device })) } })
    },
    claim: (name: string) => cluster.client.create<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, { apiVersion: 'resource.k8s.io/v1', kind: 'ResourceClaim', metadata: { name, namespace: 'default' }, spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'lamps' } }] } } }),
    run: (name: string, claim: string, more: object = {}) => cluster.client.create<Pod>(PODS, { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, spec: { containers: [{ name: 'c', image: 'i' }], resourceClaims: [{ name: 'lamp', resourceClaimName: claim }], ...more } }),
    async has(name: string) {
      const { status } = await get(name)
      const [result] = status?.allocation?.devices?.results ?? []
      return `${result ? `${result.pool}/${result.device}` : 'nothing'} for ${(status?.reservedFor ?? []).map((r) => r.name).toSorted().join(',')}`
    },
  }
}

const nodeOf = ({ spec }: Stored<Pod>): string | undefined => spec?.nodeName

describe('claims of pods that are placed', { timeout: 180_000 }, () => {
  it('are given devices of the node, each once, before the pod goes there; the next gets them when they are given back', async (t) => {
    const w = await start(t)
    await w.node('n1')
    await w.node('n2', 'red')
    for (const name of ['one', 'two']) await w.claim(name)
    await w.run('first', 'one')
    await w.cluster.until('it is placed', async () => assert.equal(nodeOf(await w.pod('first')), 'n2'))
    assert.equal(await w.has('one'), 'n2/red for first')
    const one = await w.get('one')
    assert.deepEqual([one.metadata.finalizers, one.status?.allocation?.nodeSelector, typeof one.status?.allocation?.allocationTimestamp], [['resource.kubernetes.io/delete-protection'], { nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n2'] }] }] }, 'string'])
    await w.run('second', 'two')
    await w.cluster.until('it is told why it waits', async () => assert.equal((await w.pod('second')).status?.conditions?.find((c) => c.type === 'PodScheduled')?.message?.replace(/ preemption.*/, ''), '0/2 nodes are available: 2 cannot allocate all claims.'))
    // Another that shares the claim goes where its device is.
    await w.run('third', 'one')
    await w.cluster.until('it is placed', async () => assert.equal(nodeOf(await w.pod('third')), 'n2'))
    assert.equal(await w.has('one'), 'n2/red for first,third')
    for (const name of ['first', 'third']) await w.cluster.client.delete(PODS, name, 'default', { gracePeriodSeconds: 0 })
    await w.cluster.until('the second is placed', async () => assert.equal(nodeOf(await w.pod('second')), 'n2'))
    assert.deepEqual([await w.has('one'), await w.has('two')], ['nothing for ', 'n2/red for second'])
  })

  it('are no longer kept for a pod whose placement failed, which is placed again', async (t) => {
    const w = await start(t)
    await w.node('n1', 'red')
    await w.claim('one')
    w.refused.add('p')
    await w.run('p', 'one')
    await w.cluster.until('it is placed after all', async () => assert.equal(nodeOf(await w.pod('p')), 'n1'))
    assert.deepEqual([await w.has('one'), w.refused.size], ['n1/red for p', 0])
  })

  it('give back devices that are where their pod cannot go', async (t) => {
    const w = await start(t)
    await w.node('n1', 'red')
    await w.node('n2', 'blue')
    await w.claim('one')
    // As it was left by a pod that could not be bound in the end.
    const allocation = { devices: { results: [{ request: 'r', driver: DRIVER, pool: 'n1', device: 'red' }] }, nodeSelector: { nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n1'] }] }] } }
    await w.cluster.client.patch(RESOURCE_CLAIMS, 'one', 'default', 'application/merge-patch+json', { metadata: { finalizers: ['resource.kubernetes.io/delete-protection'] } })
    await w.cluster.client.patch(RESOURCE_CLAIMS, 'one', 'default', 'application/merge-patch+json', { status: { allocation } }, { subresource: 'status' })
    await w.run('after', 'one', { nodeSelector: { 'kubernetes.io/hostname': 'n2' } })
    await w.cluster.until('it is placed', async () => assert.equal(nodeOf(await w.pod('after')), 'n2'))
    assert.equal(await w.has('one'), 'n2/blue for after')
  })
})
