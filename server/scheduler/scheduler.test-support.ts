/** The real API, controllers and scheduler, and nodes that are only objects: for tests of pods on their way to a node. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Client, Informers } from '#api/client/client.ts'
import { createEventRecorder } from '#api/client/event-recorder.ts'
import { createInformers } from '#api/client/informer.ts'
import { NODES, type Node } from '#api/types/index.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { startCluster, type TestCluster } from '#server/controllers/cluster.test-support.ts'
import { createScheduler, type SchedulerOptions } from './scheduler.ts'

export interface SchedulingCluster extends TestCluster {
  /** What the scheduler knows. */
  informers: Informers
  /** A ready node of four cores that runs nothing; `labels` beside its host name. */
  addBareNode(name: string, labels?: Record<string, string>): Promise<void>
}

/** Ends with the test. `clientOf`: what the scheduler is given for the cluster's client. */
export async function startScheduling(t: TestContext, { clientOf = (client) => client, ...more }: { clientOf?: (client: Client) => Client } & Pick<SchedulerOptions, 'selectors' | 'metrics'> = {}): Promise<SchedulingCluster> {
  const cluster = await startCluster()
  const { client, clock } = cluster
  const stop = new AbortController()
  const random = seededRandom(3)
  const informers = createInformers(client, { clock, random, log: silentLog })
  const events = createEventRecorder(client, { component: 'default-scheduler', clock, random, log: silentLog })
  const running = createScheduler({ client: clientOf(client), informers, events, clock, random, log: silentLog, ...more }).run(stop.signal)
  await informers.start(stop.signal)
  t.after(async () => {
    stop.abort()
    await running
    events.close()
    await cluster[Symbol.asyncDispose]()
  })
  return {
    ...cluster, informers,
    async addBareNode(name, labels = {}) {
      await client.create<Node>(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } } })
      const now = new Date(clock.nowMs()).toISOString()
      await client.patch(NODES, name, undefined, 'application/merge-patch+json', { status: { allocatable: { cpu: '4', memory: '8Gi', pods: '110' }, conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: now, lastTransitionTime: now }] } }, { subresource: 'status' })
      await cluster.until('pods may go there', async () => assert.deepEqual((await client.get<Node>(NODES, name)).spec?.taints ?? [], []))
    },
  }
}
