import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PodStatus } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { podStatus } from './pod-status.ts'
import { createPodWorkers } from './pod-worker.ts'
import { containerResources } from './resources.ts'
import { aContainer, aPod, aView, NOW, running } from './testing/builders.ts'
import type { PodAction } from './pod-action.ts'
import type { Effects } from '#base/reconcile/action.ts'

test('a resize that is done is no longer said to be in progress, though nothing else about the pod changes', async () => {
  const clock = new FakeClock(NOW)
  const random = seededRandom(1)
  const pod = aPod({ containers: [aContainer('app', { resources: { requests: { cpu: '200m' } } })] })
  const containers = [running('app', { resources: containerResources(pod, pod.spec?.containers[0] ?? aContainer('app'), { memoryBytes: 4 * 2 ** 30 }) })]
  const view = (resizing: number | undefined, reported: PodStatus) => aView({ pod, containers, resizing, reported })
  // As it was told before the last step of the resize, which nobody but the agent sees.
  let told = podStatus(view(1, podStatus(view(1, {}), { nowMs: NOW, random })), { nowMs: NOW, random })
  const inProgress = () => told.conditions?.some((c) => c.type === 'PodResizeInProgress')
  assert.equal(inProgress(), true)
  const workers = createPodWorkers({
    clock, random, log: silentLog,
    kept: () => ({ pod, allocation: { containers: { app: pod.spec?.containers[0]?.resources ?? {} } }, resizing: 1 }),
    observe: (memory) => Promise.resolve(view(memory.resizing, told)),
    effects: (memory) => ({
      reportResize: () => {
        memory.resizing = undefined
        return Promise.resolve()
      },
      reportStatus: ({ status }: Extract<PodAction, { kind: 'reportStatus' }>) => {
        told = status
        return Promise.resolve()
      },
    }) as Partial<Effects<PodAction>> as Effects<PodAction>,
  })
  const stop = new AbortController()
  const done = workers.run(stop.signal)
  workers.upsert({ ...pod, status: told })
  await clock.advance(10)
  assert.equal(inProgress(), false)
  stop.abort()
  await done
})

test('what is kept on disk has the names of claims that were made for a pod, which its status alone says', () => {
  const kept: unknown[] = []
  const workers = createPodWorkers({
    clock: new FakeClock(NOW), random: seededRandom(1), log: silentLog, observe: () => Promise.resolve(aView()), effects: () => ({}) as Effects<PodAction>,
    onSpec: ({ pod }) => kept.push(pod.status?.resourceClaimStatuses),
  })
  const named = [{ name: 'lamp', resourceClaimName: 'web-lamp-x' }]
  workers.upsert(aPod())
  workers.upsert({ ...aPod(), status: { phase: 'Pending' } })
  workers.upsert({ ...aPod(), status: { phase: 'Pending', resourceClaimStatuses: named } })
  workers.upsert({ ...aPod(), status: { phase: 'Running', resourceClaimStatuses: structuredClone(named) } })
  assert.deepEqual(kept, [undefined, named])
})
