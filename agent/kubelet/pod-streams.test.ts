/** Which container a request of the kubelet API means, and what it is told when there is none: upstream's words. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod, Stored } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import type { ContainerRuntime, ContainerStatus, SandboxStatus } from '#cri/index.ts'
import { CONTAINER_NAME_LABEL } from './labels.ts'
import type { PodMemory } from './pod-memory.ts'
import { createPodStreams } from './pod-streams.ts'
import { aContainer, aPod, aSandbox, exited, running } from './testing/builders.ts'

const app = { namespace: 'default', pod: 'web', container: 'app' }
const labelled = (c: ContainerStatus): ContainerStatus => ({ ...c, labels: { [CONTAINER_NAME_LABEL]: c.metadata.name } })

function streams({ pod = aPod(), containers = [], sandboxes = [aSandbox()] }: { pod?: Stored<Pod>; containers?: ContainerStatus[]; sandboxes?: SandboxStatus[] } = {}) {
  const runtime: Pick<ContainerRuntime, 'listContainers' | 'listPodSandbox'> = {
    listContainers: (filter) => Promise.resolve(containers.map(labelled).filter((c) => filter?.state === undefined || c.state === filter.state)),
    listPodSandbox: (filter) => Promise.resolve(sandboxes.filter((s) => filter?.state === undefined || s.state === filter.state)),
  }
  return createPodStreams({ workers: { list: () => [{ pod } as PodMemory] } as never, runtime: runtime as ContainerRuntime, clock: new FakeClock() })
}

const refusal = async (asked: Promise<unknown>) => {
  try {
    return await asked
  } catch (error) {
    const { code, message } = error as { code: string; message: string }
    return `${code}: ${message}`
  }
}

test('commands run in the attempt that runs', async () => {
  const node = streams({ containers: [exited('app', 1), running('app', { restartCount: 1 }), running('side')] })
  assert.deepStrictEqual([await node.runningContainer(app, 'exec'), await node.runningContainer({ ...app, container: 'side' }, 'attach'), await node.runningSandbox(app)], ['app-1', 'side-0', 'sandbox-0'])
})

test('what does not run is not found', async () => {
  const node = streams({ containers: [exited('app', 1)], sandboxes: [aSandbox({ state: 'notready' })] })
  assert.deepStrictEqual(await Promise.all([
    node.runningContainer(app, 'exec'), node.runningContainer(app, 'attach'), node.runningSandbox(app), node.runningContainer({ ...app, pod: 'other' }, 'exec'), node.runningContainer({ ...app, uid: 'u0' }, 'exec'), node.runningSandbox({ ...app, namespace: 'other' }),
  ].map(refusal)), [
    'CONTAINER_NOT_RUNNING: container not found ("app")', 'CONTAINER_NOT_RUNNING: container app not found in pod web_default', 'POD_NOT_RUNNING: pod not found ("web_default")',
    'POD_NOT_FOUND: pod does not exist', 'POD_NOT_FOUND: pod not found', 'POD_NOT_FOUND: pod does not exist',
  ])
})

test('logs: who is not there, what it waits for, what came before', async () => {
  const waiting = (reason: string) => streams({ pod: { ...aPod(), status: { containerStatuses: [{ name: 'app', image: '', imageID: '', ready: false, restartCount: 0, state: { waiting: { reason } } }] } } })
  const ask = (of: ReturnType<typeof streams>, more: object = {}, previous = false) => refusal(of.containerIdFor({ ...app, ...more }, { previous }))
  assert.deepStrictEqual([
    await ask(streams(), { pod: 'other' }), await ask(streams(), { container: 'other' }), await ask(waiting('ContainerCreating')), await ask(waiting('ErrImagePull')), await ask(waiting('ImagePullBackOff')),
    await ask(streams({ containers: [running('app')] }), {}, true), await ask(streams({ containers: [running('app', { restartCount: 1 }), exited('app', 1)] }), {}, true),
  ], [
    'POD_NOT_FOUND: pod "other" does not exist', 'CONTAINER_NOT_FOUND: container "other" not found in pod "web"', 'CONTAINER_NOT_READY: container "app" in pod "web" is waiting to start: ContainerCreating',
    'CONTAINER_NOT_READY: container "app" in pod "web" is waiting to start: image can\'t be pulled', 'CONTAINER_NOT_READY: container "app" in pod "web" is waiting to start: trying and failing to pull image',
    'PREVIOUS_NOT_FOUND: previous terminated container "app" in pod "web" not found', 'app-0',
  ])
})

test('containers of all kinds have logs', async () => {
  const pod = aPod({ initContainers: [aContainer('setup')], ephemeralContainers: [aContainer('debug')] })
  const node = streams({ pod, containers: [exited('setup', 0), running('debug')] })
  assert.deepStrictEqual([await node.containerIdFor({ ...app, container: 'setup' }), await node.containerIdFor({ ...app, container: 'debug' })], ['setup-0', 'debug-0'])
})
