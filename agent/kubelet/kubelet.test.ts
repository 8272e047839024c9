import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { PODS } from '#api/types/index.ts'
import { createNodeWorld, pod, type NodeWorld } from './testing/node-world.ts'

async function world(t: TestContext, options?: Parameters<typeof createNodeWorld>[0]): Promise<NodeWorld> {
  const w = createNodeWorld(options)
  t.after(() => w.end())
  w.runtime.control.addImage('busybox:1')
  await w.startAgent()
  return w
}

test('a pod whose image is present runs, says so, and is gone soon after its deletion', async (t) => {
  const w = await world(t)
  const { uid } = w.create(pod('web')).metadata
  await w.until('running', () => w.pod('web')?.status?.phase === 'Running')
  const [container] = w.runtime.control.running('app')
  assert.ok(container)
  const { conditions, ...status } = w.pod('web')?.status ?? {}
  assert.deepStrictEqual(conditions?.map((c) => [c.type, c.status]), [['PodReadyToStartContainers', 'True'], ['Initialized', 'True'], ['Ready', 'True'], ['ContainersReady', 'True'], ['PodScheduled', 'True']])
  assert.deepStrictEqual(status, {
    phase: 'Running', observedGeneration: 1, startTime: '2026-01-01T00:00:00Z', qosClass: 'BestEffort', hostIP: '192.168.7.1', hostIPs: [{ ip: '192.168.7.1' }], podIP: '10.42.0.2', podIPs: [{ ip: '10.42.0.2' }],
    containerStatuses: [{
      name: 'app', image: 'docker.io/library/busybox:1', imageID: `docker.io/library/busybox@${container.imageId}`, containerID: `memory://${container.id}`, ready: true, started: true, restartCount: 0, lastState: {},
      state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
    }],
  })
  assert.deepStrictEqual(w.events.filter((e) => e.about !== 'node-1').map((e) => [e.about, e.type, e.reason, e.message]), [
    ['spec.containers{app}', 'Normal', 'Pulled', 'Container image "busybox:1" already present on machine'],
    ['spec.containers{app}', 'Normal', 'Created', 'Container created'],
    ['spec.containers{app}', 'Normal', 'Started', 'Container started'],
  ])

  w.api.deletePod(PODS, 'default/web')
  await w.until('gone', () => w.pod('web') === undefined, 5_000)
  await w.run(1_000)
  assert.deepStrictEqual({ containers: await w.runtime.listContainers(), sandboxes: await w.runtime.listPodSandbox(), cgroups: [...w.cgroups], known: w.kubelet().podStatusOf(uid) }, { containers: [], sandboxes: [], cgroups: [], known: undefined })
  assert.deepStrictEqual(w.events.at(-1), { about: 'spec.containers{app}', type: 'Normal', reason: 'Killing', message: 'Stopping container app' })
})
