import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { NODES, PODS, type Node } from '#api/types/index.ts'
import { pod, startNodeWorld, type NodeWorld } from './testing/node-world.ts'

const state = (w: NodeWorld, name: string, container = 'app') => w.pod(name)?.status?.containerStatuses?.find((c) => c.name === container)

test('a pod sent to a node that has no room for it fails there and disturbs nobody', async (t) => {
  const w = await startNodeWorld(t, { config: { maxPods: 1 } })
  w.create(pod('first'))
  await w.until('running', () => w.pod('first')?.status?.phase === 'Running')
  w.create(pod('second'))
  await w.until('refused', () => w.pod('second')?.status?.phase === 'Failed')
  const { reason, message } = w.pod('second')?.status ?? {}
  assert.deepStrictEqual([reason, message, w.runtime.control.started.length, w.pod('first')?.status?.phase], ['OutOfpods', "Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: 1, capacity: 1", 1, 'Running'])
  await w.stopAgent()
  await w.startAgent()
  await w.run(5_000)
  assert.deepStrictEqual([w.pod('second')?.status?.phase, w.runtime.control.started.length], ['Failed', 1])
  w.api.deletePod(PODS, 'default/second')
  await w.until('gone', () => w.pod('second') === undefined)
})

test('a resize that does not fit waits for another pod to go; an agent killed meanwhile remembers what is allocated', async (t) => {
  const w = await startNodeWorld(t)
  const asking = (cpu: string) => [{ name: 'app', image: 'busybox:1', imagePullPolicy: 'IfNotPresent', resources: { requests: { cpu }, limits: { cpu } } }]
  w.create(pod('one', { containers: asking('2') }))
  w.create(pod('two', { containers: asking('2') }))
  await w.until('both run', () => w.pod('one')?.status?.phase === 'Running' && w.pod('two')?.status?.phase === 'Running')
  const one = w.pod('one')
  assert.ok(one?.spec)
  w.api.put(PODS, { ...one, metadata: { ...one.metadata, generation: 2 }, spec: { ...one.spec, containers: asking('3') } })
  const told = () => w.pod('one')?.status?.conditions?.filter((c) => c.type.startsWith('PodResize')).map((c) => [c.type, c.reason, c.message])
  await w.until('deferred', () => told()?.length === 1)
  const container = () => w.runtime.listContainers({ podUid: one.metadata.uid }).then((list) => list.map((c) => [c.resources?.cpuShares, c.resources?.cpuQuota]))
  assert.deepStrictEqual([told(), await container()], [[['PodResizePending', 'Deferred', "Node didn't have enough resource: cpu, requested: 3000, used: 2000, capacity: 4000"]], [[2048, 200_000]]])
  await w.stopAgent()
  await w.startAgent()
  await w.run(3_000)
  assert.deepStrictEqual([told()?.length, await container(), w.pod('one')?.status?.containerStatuses?.[0]?.allocatedResources], [1, [[2048, 200_000]], { cpu: '2' }])
  w.api.deletePod(PODS, 'default/two')
  await w.until('resized', () => w.reasons().includes('ResizeCompleted'))
  await w.run(500)
  assert.deepStrictEqual([told(), await container(), w.pod('one')?.status?.containerStatuses?.[0]?.resources, state(w, 'one')?.restartCount], [[], [[3072, 300_000]], { requests: { cpu: '3' }, limits: { cpu: '3' } }, 0])
  assert.deepStrictEqual(w.reasons().filter((r) => r.startsWith('Resize')), ['ResizeDeferred', 'ResizeStarted', 'ResizeCompleted'])
})

test('files of the downward API tell of the resources that a pod asks for now', async (t) => {
  const w = await startNodeWorld(t)
  const asking = (cpu: string) => [{ name: 'app', image: 'busybox:1', imagePullPolicy: 'IfNotPresent', resources: { limits: { cpu } }, volumeMounts: [{ name: 'v', mountPath: '/v' }] }]
  const { metadata, spec } = w.create(pod('told', { containers: asking('1'), volumes: [{ name: 'v', downwardAPI: { defaultMode: 0o644, items: [{ path: 'cpu', resourceFieldRef: { containerName: 'app', resource: 'limits.cpu', divisor: '1m' } }] } }] }))
  const file = () => readFileSync(join(w.dir, 'agent/pods', metadata.uid, 'volumes/kubernetes.io~downward-api/v/cpu'), 'utf8')
  await w.until('running', () => w.pod('told')?.status?.phase === 'Running')
  assert.equal(file(), '1000')
  w.api.put(PODS, { ...w.pod('told'), metadata: { ...metadata, generation: 2 }, spec: { ...spec, containers: asking('1500m') } } as never)
  await w.until('resized', () => w.reasons().includes('ResizeCompleted'))
  assert.equal(file(), '1500')
})

test('a pod that was taken from the API at once keeps nothing from others, whoever waits for room', async (t) => {
  const w = await startNodeWorld(t)
  const asking = (cpu: string) => [{ name: 'app', image: 'slow:1', imagePullPolicy: 'IfNotPresent', resources: { requests: { cpu } } }]
  w.runtime.control.addImage('slow:1', { program: { onTerm: 'ignore' } })
  w.create(pod('first', { containers: asking('2') }))
  const { metadata, spec } = w.create(pod('waiting', { containers: asking('1') }))
  await w.until('both run', () => w.pod('first')?.status?.phase === 'Running' && w.pod('waiting')?.status?.phase === 'Running')
  w.api.put(PODS, { ...w.pod('waiting'), metadata: { ...metadata, generation: 2 }, spec: { ...spec, containers: asking('2500m') } } as never)
  await w.until('deferred', () => w.reasons().includes('ResizeDeferred'))
  w.api.remove(PODS, 'default/first')
  await w.until('resized', () => w.reasons().includes('ResizeCompleted'), 1_000)
  w.create(pod('second', { containers: asking('1500m') }))
  await w.until('it runs', () => w.pod('second')?.status?.phase === 'Running', 1_000)
  assert.equal(w.runtime.control.running().length, 3, 'what is left of the first one has its time')
})

test('a critical pod that finds no room makes some: who goes for it ends in its own time, Failed, and says why', async (t) => {
  const w = await startNodeWorld(t)
  const asking = (cpu: string) => [{ name: 'app', image: 'busybox:1', resources: { requests: { cpu } } }]
  w.create(pod('large', { containers: asking('3'), terminationGracePeriodSeconds: 5 }))
  w.create(pod('small', { containers: asking('500m') }))
  await w.until('both run', () => w.pod('large')?.status?.phase === 'Running' && w.pod('small')?.status?.phase === 'Running')
  w.create(pod('critical', { priority: 2_000_001_000, containers: asking('2') }))
  await w.until('it runs, and room was made', () => w.pod('critical')?.status?.phase === 'Running' && w.pod('large')?.status?.phase === 'Failed')
  const { reason, message, conditions } = w.pod('large')?.status ?? {}
  const target = conditions?.find((c) => c.type === 'DisruptionTarget')
  const words = 'Preempted in order to admit critical pod'
  assert.deepStrictEqual([reason, message, target?.reason, target?.message], ['Preempting', words, 'TerminationByKubelet', 'Pod was preempted by Kubelet to accommodate a critical pod.'])
  assert.deepStrictEqual([w.events.filter((e) => e.reason === 'Preempting').map((e) => [e.about, e.message]), w.pod('small')?.status?.phase], [[['large', words]], 'Running'])
  assert.match(await w.kubelet().figures.metrics('kubelet'), /^kubelet_preemptions\{preemption_signal="cpu"\} 1$/m)
})

test('a pod that uses more than its emptyDir may hold is evicted: it ends at once, Failed, and says so', async (t) => {
  const w = await startNodeWorld(t)
  const { uid } = w.create(pod('greedy', { containers: [{ name: 'app', image: 'busybox:1', volumeMounts: [{ name: 'data', mountPath: '/data' }] }], volumes: [{ name: 'data', emptyDir: { sizeLimit: '64Ki' } }] })).metadata
  w.create(pod('modest'))
  await w.until('both run', () => w.pod('greedy')?.status?.phase === 'Running' && w.pod('modest')?.status?.phase === 'Running')
  writeFileSync(join(w.dir, 'agent/pods', uid, 'volumes/kubernetes.io~empty-dir/data/x'), 'x'.repeat(200_000))
  await w.until('evicted', () => w.pod('greedy')?.status?.phase === 'Failed')
  const { reason, message, conditions } = w.pod('greedy')?.status ?? {}
  const words = 'Usage of EmptyDir volume "data" exceeds the limit "64Ki". '
  assert.deepStrictEqual([reason, message, conditions?.some((c) => c.type === 'DisruptionTarget')], ['Evicted', words, false], 'it is no disruption: a Job counts it as the pod\'s own failure')
  assert.deepStrictEqual(w.events.filter((e) => e.reason === 'Evicted').map((e) => [e.about, e.type, e.message]), [['greedy', 'Warning', words]])
  await w.run(5_000)
  assert.deepStrictEqual([w.pod('modest')?.status?.phase, (await w.runtime.listContainers({ state: 'running' })).length], ['Running', 1])
})

test('a node that is short of memory says so, evicts the pod that uses most beyond its request, and takes no others until it is well', async (t) => {
  const w = await startNodeWorld(t)
  w.create(pod('one'))
  w.create(pod('two', { priority: 10 }))
  await w.until('both run', () => w.pod('one')?.status?.phase === 'Running' && w.pod('two')?.status?.phase === 'Running')
  w.host.memoryAvailableBytes = 50 * 2 ** 20
  await w.until('evicted', () => w.pod('one')?.status?.phase === 'Failed')
  w.host.memoryAvailableBytes = 2 ** 31
  const { conditions, message: told } = w.pod('one')?.status ?? {}
  assert.partialDeepStrictEqual(conditions?.find((c) => c.type === 'DisruptionTarget'), { status: 'True', reason: 'TerminationByKubelet', message: told })
  assert.match(told ?? '', /^The node was low on resource: memory\. Threshold quantity: 100Mi, available: 51200Ki\. /)
  const condition = () => w.api.get<Node>(NODES, 'node-1')?.status?.conditions?.find((c) => c.type === 'MemoryPressure')
  await w.until('told', () => condition()?.status === 'True')
  assert.deepStrictEqual([condition()?.reason, w.reasons().includes('EvictionThresholdMet'), w.pod('two')?.status?.phase], ['KubeletHasInsufficientMemory', true, 'Running'])
  w.create(pod('three'))
  await w.until('refused', () => w.pod('three')?.status?.phase === 'Failed')
  assert.deepStrictEqual([w.pod('three')?.status?.reason, w.pod('three')?.status?.message], ['Evicted', 'Pod was rejected: The node had condition: [MemoryPressure]. '])
  await w.until('well again', () => condition()?.status === 'False', 320_000)
  w.create(pod('four'))
  await w.until('taken', () => w.pod('four')?.status?.phase === 'Running')
})
