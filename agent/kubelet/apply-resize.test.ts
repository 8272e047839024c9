import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applyResize } from './apply-resize.ts'
import { aContainer, aPod } from './testing/builders.ts'

const MI = 2 ** 20
const pod = aPod({ containers: [aContainer('app', { resources: { requests: { cpu: '1', memory: '64Mi' }, limits: { cpu: '1', memory: '64Mi' } } })] })

/** A machine that writes down what is done to it. */
function machine({ limit, used, podUsed }: { limit: number; used: number; podUsed: number }) {
  const calls: unknown[] = []
  const note = (call: unknown) => { calls.push(call) }
  const runtime = {
    containerStatus: (id: string) => Promise.resolve({ id, resources: { memoryLimitBytes: limit } } as never),
    containerStats: () => Promise.resolve({ memoryWorkingSetBytes: used } as never),
    updateContainerResources: (id: string, resources: object) => Promise.resolve(note([id, resources])),
  }
  const cgroups = {
    version: 2 as const, grow: () => Promise.resolve(note('grow')).then(() => ''), ensure: () => Promise.resolve(note('ensure')).then(() => ''), memoryWorkingSet: () => Promise.resolve(podUsed), usage: () => Promise.resolve(undefined), podsUsage: () => Promise.resolve(undefined), holdPods: () => Promise.resolve(), podsMemory: () => Promise.resolve(undefined),
    remove: () => Promise.resolve(), list: () => Promise.resolve([]),
  }
  return { deps: { runtime, cgroups }, calls }
}

test('the pod grows before its containers and shrinks after them', async () => {
  const { deps, calls } = machine({ limit: 128 * MI, used: 10 * MI, podUsed: 11 * MI })
  await applyResize(deps, pod, [{ id: 'c1', name: 'app', resources: { memoryLimitBytes: 64 * MI } }])
  assert.deepStrictEqual(calls, ['grow', ['c1', { memoryLimitBytes: 64 * MI }], 'ensure'])
})

test('a limit below what is used is refused before anything is touched', async () => {
  const { deps, calls } = machine({ limit: 128 * MI, used: 70 * MI, podUsed: 1 })
  await assert.rejects(applyResize(deps, pod, [{ id: 'c1', name: 'app', resources: { memoryLimitBytes: 64 * MI } }]), { message: 'cannot decrease memory limits: attempting to set container "app" memory limit (67108864) below current usage (73400320)' })
  const whole = machine({ limit: 128 * MI, used: 1, podUsed: 70 * MI })
  await assert.rejects(applyResize(whole.deps, pod, []), { message: 'cannot decrease memory limits: attempting to set pod memory limit (67108864) below current usage (73400320)' })
  const both = machine({ limit: 128 * MI, used: 65 * MI, podUsed: 70 * MI })
  await assert.rejects(applyResize(both.deps, pod, [{ id: 'c1', name: 'app', resources: { memoryLimitBytes: 64 * MI } }]),
    { message: 'cannot decrease memory limits: [attempting to set pod memory limit (67108864) below current usage (73400320), attempting to set container "app" memory limit (67108864) below current usage (68157440)]' })
  assert.deepStrictEqual([calls, whole.calls, both.calls], [[], [], []])
})

test('a limit that rises is not measured against what is used', async () => {
  const { deps, calls } = machine({ limit: 32 * MI, used: 70 * MI, podUsed: 1 })
  await applyResize(deps, pod, [{ id: 'c1', name: 'app', resources: { memoryLimitBytes: 64 * MI } }])
  assert.equal(calls.length, 3)
})
