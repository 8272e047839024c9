import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createEventRecorder } from '#api/client/event-recorder.ts'
import { createInformers } from '#api/client/informer.ts'
import { NODES, PODS, type KubeObject, type Node, type Pod } from '#api/types/index.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { startCluster } from '#server/controllers/cluster.test-support.ts'
import { createScheduler } from './scheduler.ts'

const MERGE = 'application/merge-patch+json'

it('a pod finds its node once another there holds less: when its node says so, not when it is asked', { timeout: 180_000 }, async (t) => {
  const cluster = await startCluster()
  const { client, clock } = cluster
  const stop = new AbortController()
  const random = seededRandom(5)
  const informers = createInformers(client, { clock, random, log: silentLog })
  const events = createEventRecorder(client, { component: 'default-scheduler', clock, random, log: silentLog })
  const running = createScheduler({ client, informers, events, clock, random, log: silentLog }).run(stop.signal)
  await informers.start(stop.signal)
  t.after(async () => {
    stop.abort()
    await running
    events.close()
    await cluster[Symbol.asyncDispose]()
  })
  await client.create<Node>(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } })
  await client.patch(NODES, 'n1', undefined, MERGE, { status: { allocatable: { cpu: '4', memory: '8Gi', pods: '110' }, conditions: [{ type: 'Ready', status: 'True' }] } }, { subresource: 'status' })
  const pod = (name: string, cpu: string) => client.create(PODS, { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }] } } as KubeObject)
  const get = (name: string) => client.get<Pod>(PODS, name, 'default')
  const scheduled = async (name: string) => (await get(name)).status?.conditions?.find((c) => c.type === 'PodScheduled')
  const says = (cpu: string) => client.patch(PODS, 'large', 'default', MERGE, { status: { containerStatuses: [{ name: 'c', image: 'i', imageID: '', ready: true, restartCount: 0, resources: { requests: { cpu } }, allocatedResources: { cpu } }] } }, { subresource: 'status' })

  await pod('large', '3')
  await cluster.until('the first has its node', async () => assert.equal((await get('large')).spec?.nodeName, 'n1'))
  await says('3')
  await pod('late', '2')
  await cluster.until('there is no room', async () => assert.match((await scheduled('late'))?.message ?? '', /1 Insufficient cpu/))
  await client.patch(PODS, 'large', 'default', MERGE, { spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '1' } } }] } }, { subresource: 'resize' })
  await pod('later', '2')
  await cluster.until('there is none for a third', async () => assert.match((await scheduled('later'))?.message ?? '', /1 Insufficient cpu/))
  assert.equal((await get('late')).spec?.nodeName, undefined)
  await says('1')
  await cluster.until('the second has its node', async () => assert.equal((await get('late')).spec?.nodeName, 'n1'))
})
