/** Claims on their way through the real API, controllers and scheduler; nodes are only objects. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { DEVICE_CLASSES, EVENTS, PODS, RESOURCE_CLAIMS, RESOURCE_SLICES, type CoreV1Event, type DeviceClass, type KubeObject, type Pod, type ResourceSlice, type ResourceV1ResourceClaim, type Stored } from '#api/types/index.ts'
import { printMetrics } from '#base/metrics.ts'
import { seededRandom } from '#base/random.ts'
import { node, pod } from '../build.test-support.ts'
import { SchedulerMetrics } from '../scheduler-metrics.ts'
import { startScheduling } from '../scheduler.test-support.ts'
import { createClaimBinder } from './claim-binder.ts'
import { loadSelectors, type SelectorEngine } from './selectors.ts'

const DRIVER = 'lamps.example.com'

async function start(t: TestContext, more: Parameters<typeof startScheduling>[1] = {}) {
  // The placement of these is refused, once each.
  const refused = new Set<string>()
  const written: string[] = []
  const cluster = await startScheduling(t, { ...more, clientOf: (client) => ({
    ...client,
    create: (ref, object, options) => (options?.subresource === 'binding' && refused.delete(object.metadata?.name ?? '') ? Promise.reject(new Error('no such luck')) : client.create(ref, object, options)),
    update: (ref, object, options) => { written.push(object.metadata?.name ?? ''); return client.update(ref, object, options) },
  }) })
  await cluster.client.create<DeviceClass>(DEVICE_CLASSES, { apiVersion: 'resource.k8s.io/v1', kind: 'DeviceClass', metadata: { name: 'lamps' }, spec: { selectors: [{ cel: { expression: `device.driver == "${DRIVER}"` } }] } })
  const get = (name: string) => cluster.client.get<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, name, 'default')
  return {
    cluster, refused, written, get,
    pod: (name: string) => cluster.client.get<Pod>(PODS, name, 'default'),
    async node(name: string, ...devices: string[]) {
      await cluster.addBareNode(name)
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

  it('are awaited in silence: their pods are not tried, and nobody writes of it, before all are there or are told not to be needed', async (t) => {
    const metrics = new SchedulerMetrics()
    const w = await start(t, { metrics })
    await w.node('n1', 'red')
    await w.run('first', 'one')
    await w.run('second', '', { resourceClaims: [{ name: 'lamp', resourceClaimTemplateName: 'none' }] })
    const gated = () => printMetrics(metrics.all()).toString().split('\n').filter((line) => /^scheduler_(pending_pods\{queue="gated"|unschedulable_pods)/.test(line))
    await w.cluster.until('both are seen', () => Promise.resolve(assert.deepEqual(gated(), ['scheduler_pending_pods{queue="gated"} 2', 'scheduler_unschedulable_pods{plugin="DynamicResources",profile="default-scheduler"} 2'])))
    const [first, second] = [await w.pod('first'), await w.pod('second')]
    assert.deepEqual([first.status?.conditions, second.status?.conditions], [undefined, undefined])
    // What was read is written: nobody came in between.
    await w.cluster.client.update<Pod>(PODS, { ...second, status: { ...second.status, resourceClaimStatuses: [{ name: 'lamp' }] } }, { subresource: 'status' })
    await w.cluster.until('it is placed without one', async () => assert.equal(nodeOf(await w.pod('second')), 'n1'))
    await w.claim('one')
    await w.cluster.until('it is placed', async () => assert.equal(nodeOf(await w.pod('first')), 'n1'))
    assert.deepEqual([await w.has('one'), gated()], ['n1/red for first', ['scheduler_pending_pods{queue="gated"} 0']])
    const told = (await w.cluster.client.list<CoreV1Event>(EVENTS)).items.filter(({ reason }) => reason === 'FailedScheduling')
    assert.deepEqual(told.map(({ message }) => message), [])
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

  it('are made for extended resources that a class has, and told to the pod; taken away when it could not be placed, and when it has ended', async (t) => {
    const w = await start(t)
    await w.cluster.client.create<DeviceClass>(DEVICE_CLASSES, { apiVersion: 'resource.k8s.io/v1', kind: 'DeviceClass', metadata: { name: 'bulbs' }, spec: { extendedResourceName: 'example.com/bulb' } })
    await w.node('n1', 'red', 'blue')
    const claims = async () => (await w.cluster.client.list<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, { namespace: 'default' })).items
    const asks = (name: string, count: string) => w.run(name, '', { resourceClaims: [], containers: [{ name: 'c', image: 'i', resources: { limits: { 'example.com/bulb': count } } }] })
    w.refused.add('p')
    await asks('p', '2')
    await w.cluster.until('it is placed after all', async () => assert.equal(nodeOf(await w.pod('p')), 'n1'))
    const [made, ...others] = await claims()
    assert.ok(made)
    assert.deepEqual([others, w.refused.size, made.metadata.annotations, made.metadata.ownerReferences?.map((o) => o.name), made.spec.devices?.requests, made.status?.reservedFor?.map((r) => r.name)], [
      [], 0, { 'resource.kubernetes.io/extended-resource-claim': 'true' }, ['p'], [{ name: 'container-0-request-0', exactly: { deviceClassName: 'bulbs', allocationMode: 'ExactCount', count: 2 } }], ['p'],
    ])
    assert.match(made.metadata.name, /^p-extended-resources-\w+$/)
    assert.deepEqual((await w.pod('p')).status?.extendedResourceClaimStatus, { resourceClaimName: made.metadata.name, requestMappings: [{ containerName: 'c', resourceName: 'example.com/bulb', requestName: 'container-0-request-0' }] })
    await asks('q', '1')
    await w.cluster.until('another waits', async () => assert.match((await w.pod('q')).status?.conditions?.find((c) => c.type === 'PodScheduled')?.message ?? '', /^0\/1 nodes are available: 1 cannot allocate all claims\./))
    await w.cluster.client.patch(PODS, 'p', 'default', 'application/merge-patch+json', { status: { phase: 'Succeeded' } }, { subresource: 'status' })
    await w.cluster.until('it is placed', async () => assert.equal(nodeOf(await w.pod('q')), 'n1'))
    await w.cluster.until('only its claim is left', async () => assert.deepEqual((await claims()).map((c) => c.metadata.ownerReferences?.[0]?.name), ['q']))
  })

  it('are waited for until their devices are ready; those that fail are given back, and others are tried', async (t) => {
    const w = await start(t)
    await w.node('n1')
    await w.cluster.client.create<ResourceSlice>(RESOURCE_SLICES, { apiVersion: 'resource.k8s.io/v1', kind: 'ResourceSlice', metadata: { name: 'fabric' }, spec: { driver: DRIVER, allNodes: true, pool: { name: 'fabric', generation: 1, resourceSliceCount: 1 }, devices: [{ name: 'far', bindsToNode: true, bindingConditions: ['attached'], bindingFailureConditions: ['broken'] }] } })
    await w.claim('one')
    await w.run('p', 'one')
    const tellsBy = (type: string, message: string) => w.cluster.client.patch(RESOURCE_CLAIMS, 'one', 'default', 'application/merge-patch+json', { status: { devices: [{ driver: DRIVER, pool: 'fabric', device: 'far', conditions: [{ type, status: 'True', reason: 'Told', message, lastTransitionTime: '2026-01-01T00:00:00Z' }] }] } }, { subresource: 'status' })
    const said = async (reason: string) => (await w.cluster.client.list<CoreV1Event>(EVENTS, { namespace: 'default' })).items.filter((e) => e.reason === reason).map((e) => e.message ?? '')
    await w.cluster.until('it has the device', async () => assert.equal(await w.has('one'), 'fabric/far for p'))
    const one = await w.get('one')
    assert.deepEqual([one.status?.allocation?.nodeSelector?.nodeSelectorTerms[0]?.matchFields?.[0]?.values, one.status?.allocation?.devices?.results?.[0]?.bindingConditions, one.status?.allocation?.devices?.results?.[0]?.bindingFailureConditions], [['n1'], ['attached'], ['broken']])
    await w.cluster.until('it is told that it waits', async () => assert.deepEqual(await said('BindingConditionsPending'), ['waiting for binding conditions for device on node n1']))
    assert.equal(nodeOf(await w.pod('p')), undefined)
    await tellsBy('broken', 'cable')
    await w.cluster.until('it is told why not', async () => assert.ok((await said('FailedScheduling')).includes('running PreBind plugin "DynamicResources": device binding failed: claim=one, reason=Told, message="cable"')))
    await w.cluster.until('it was given back and is given out anew', async () => {
      const { status } = await w.get('one')
      assert.deepEqual([status?.devices, status?.reservedFor?.length], [undefined, 1])
    })
    assert.equal(nodeOf(await w.pod('p')), undefined)
    await tellsBy('attached', '')
    await w.cluster.until('it is placed', async () => assert.equal(nodeOf(await w.pod('p')), 'n1'))
  })

  it('are left alone when their pod went while selectors were loaded', async (t) => {
    const loads = Promise.withResolvers<void>()
    const goesOn = Promise.withResolvers<SelectorEngine>()
    const w = await start(t, { selectors: () => { loads.resolve(); return goesOn.promise } })
    await w.node('n1', 'red')
    for (const name of ['one', 'two']) await w.claim(name)
    await w.run('plain', '', { resourceClaims: [] })
    await w.cluster.until('the scheduler knows the node', async () => assert.equal(nodeOf(await w.pod('plain')), 'n1'))
    await w.run('gone', 'one')
    await loads.promise
    await w.cluster.client.delete(PODS, 'gone', 'default', { gracePeriodSeconds: 0 })
    await w.run('next', 'two')
    const known = w.cluster.informers.of<Pod>(PODS)
    await w.cluster.until('the scheduler has heard of both', () => Promise.resolve(assert.deepEqual(known.list().map((p) => p.metadata.name).toSorted(), ['next', 'plain'])))
    goesOn.resolve(await loadSelectors())
    await w.cluster.until('the next is placed', async () => assert.equal(nodeOf(await w.pod('next')), 'n1'))
    assert.deepEqual(w.written.filter((name) => name === 'one'), [])
  })
})

describe('devices that a pod was promised', () => {
  it('stay so after its claim was written, whatever becomes of the pod, until the claim is seen to have them', async () => {
    const meta = (name: string, resourceVersion = '1') => ({ name, namespace: 'default', uid: `uid-${name}`, resourceVersion, creationTimestamp: '2026-01-01T00:00:00Z', finalizers: ['resource.kubernetes.io/delete-protection'] })
    const claim = (name: string): Stored<ResourceV1ResourceClaim> => ({ metadata: meta(name), spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'any' } }] } } })
    const slice: Stored<ResourceSlice> = { metadata: meta('s'), spec: { driver: DRIVER, nodeName: 'n1', pool: { name: 'p', generation: 1, resourceSliceCount: 1 }, devices: [{ name: 'red' }, { name: 'blue' }] } }
    const held = new Map<string, Stored<KubeObject>[]>([[RESOURCE_CLAIMS.resource, [claim('one'), claim('two')]], [DEVICE_CLASSES.resource, [{ metadata: meta('any'), spec: {} } as Stored<KubeObject>]], [RESOURCE_SLICES.resource, [slice]]])
    const listeners = new Map<string, (before: unknown, after: unknown) => void>()
    const informers = { of: ({ resource }: { resource: string }) => ({ synced: Promise.resolve(), list: () => held.get(resource) ?? [], get: (key: string) => held.get(resource)?.find((o) => key.endsWith(o.metadata.name)), onChange: (listener: never) => { listeners.set(resource, listener); return () => {} }, onListed: () => () => {} }) } as never
    let version = 1
    const stored = new Map(['one', 'two'].map((name) => [name, claim(name)]))
    const client = {
      get: (_: unknown, name: string) => Promise.resolve(stored.get(name)),
      update(_: unknown, object: Stored<ResourceV1ResourceClaim>) {
        if (object.metadata.name === 'two') return Promise.reject(new Error('no such luck'))
        const now = { ...object, metadata: { ...object.metadata, resourceVersion: String(++version) } }
        stored.set('one', now)
        return Promise.resolve(now)
      },
    } as never
    const binder = createClaimBinder({ client, informers, clock: { nowMs: () => 0 } as never, random: seededRandom(1) })
    binder.onChange(() => {})
    await binder.ready()
    const promised = binder.assume(pod('p', { spec: { resourceClaims: ['one', 'two'].map((name) => ({ name, resourceClaimName: name })) } }), node('n1'))
    assert.ok(promised)
    assert.deepEqual([...binder.lookup.pending().keys()], ['uid-one', 'uid-two'])
    await assert.rejects(binder.bind(promised, () => {}, new AbortController().signal), /no such luck/)
    await binder.forget(promised)
    assert.deepEqual([...binder.lookup.pending().keys()], ['uid-one'])
    // News of a change before the write, then of one after it.
    const saw = listeners.get(RESOURCE_CLAIMS.resource)
    saw?.(claim('one'), { ...claim('one'), metadata: meta('one', '1') })
    assert.equal(binder.lookup.pending().size, 1)
    saw?.(claim('one'), stored.get('one'))
    assert.equal(binder.lookup.pending().size, 0)
  })
})
