import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Pod, PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus, Stored } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { decideDisruption, EVICTION_MS_MAX, type DisruptionView } from './decide.ts'

const nowMs = Date.UTC(2026, 0, 1)
const at = (ms: number) => new Date(ms).toISOString().replace('.000Z', 'Z')
const pod = (name: string, options: { ready?: boolean; dying?: boolean } = {}): Stored<Pod> => ({
  metadata: { name, namespace: 'ns', uid: name, resourceVersion: '1', creationTimestamp: '', ...(options.dying && { deletionTimestamp: at(nowMs) }) },
  status: { conditions: [{ type: 'Ready', status: options.ready === false ? 'False' : 'True' }] },
})
const budget = (spec: PodDisruptionBudgetSpec, status?: PodDisruptionBudgetStatus): Stored<PodDisruptionBudget> => ({ metadata: { name: 'b', namespace: 'ns', uid: 'b', resourceVersion: '1', creationTimestamp: '', generation: 3 }, spec, ...(status && { status }) })
const decide = (view: DisruptionView) => decideDisruption(view, { nowMs, random: seededRandom(1) })
const counts = (view: DisruptionView) => {
  const write = decide(view).actions.find((a) => a.kind === 'writeStatus')
  assert.ok(write)
  const { currentHealthy, desiredHealthy, expectedPods, disruptionsAllowed } = write.status
  return [currentHealthy, desiredHealthy, expectedPods, disruptionsAllowed]
}
const three = [pod('a'), pod('b'), pod('c')]
const scale = (replicas: number) => ({ ok: true as const, replicas })

describe('the disruption controller', () => {
  it('allows what is healthy beyond what must be', () => {
    assert.deepEqual(counts({ budget: budget({ minAvailable: 2 }), pods: three, scale: scale(3) }), [3, 2, 3, 1])
    assert.deepEqual(counts({ budget: budget({ maxUnavailable: 1 }), pods: three, scale: scale(3) }), [3, 2, 3, 1])
    assert.deepEqual(counts({ budget: budget({ minAvailable: '50%' }), pods: three, scale: scale(3) }), [3, 2, 3, 1])
    assert.deepEqual(counts({ budget: budget({ maxUnavailable: '34%' }), pods: three, scale: scale(3) }), [3, 1, 3, 2])
    assert.deepEqual(counts({ budget: budget({ maxUnavailable: 5 }), pods: three, scale: scale(3) }), [3, 0, 3, 3])
  })

  it('does not count pods that are unready or going, and reckons with those that are not made yet', () => {
    assert.deepEqual(counts({ budget: budget({ maxUnavailable: 1 }), pods: [pod('a'), pod('b', { ready: false }), pod('c', { dying: true })], scale: scale(3) }), [1, 2, 3, 0])
    assert.deepEqual(counts({ budget: budget({ maxUnavailable: 1 }), pods: [pod('a')], scale: scale(5) }), [1, 4, 5, 0])
  })

  it('counts a granted eviction as done until it is too old, and looks again then', () => {
    const granted = (ms: number) => budget({ minAvailable: 1 }, { disruptedPods: { a: at(nowMs - ms), gone: at(nowMs) } })
    const fresh = decide({ budget: granted(1_000), pods: three, scale: scale(3) })
    assert.deepEqual(counts({ budget: granted(1_000), pods: three, scale: scale(3) }), [2, 1, 3, 1])
    assert.equal(fresh.wakeAtMs, nowMs - 1_000 + EVICTION_MS_MAX)
    assert.deepEqual(fresh.actions[0]?.kind === 'writeStatus' && fresh.actions[0].status.disruptedPods, { a: at(nowMs - 1_000) })
    assert.deepEqual(counts({ budget: granted(EVICTION_MS_MAX), pods: three, scale: scale(3) }), [3, 1, 3, 2])
  })

  it('says so once when there is nobody to ask how many there should be, and allows nothing', () => {
    const view = { budget: budget({ maxUnavailable: 1 }), pods: [pod('a')], scale: { ok: false as const, message: 'found no controllers for pod "a"' } }
    const first = decide(view)
    assert.deepEqual(first.actions.map((a) => a.kind), ['writeStatus', 'tell'])
    const status = first.actions[0]?.kind === 'writeStatus' ? first.actions[0].status : {}
    assert.deepEqual([status.disruptionsAllowed, status.conditions?.[0]?.reason], [0, 'SyncFailed'])
    assert.deepEqual(decide({ ...view, budget: budget({ maxUnavailable: 1 }, status) }).actions, [])
  })

  it('is quiet when everything is said', () => {
    const view = { budget: budget({ minAvailable: 2 }), pods: three, scale: scale(3) }
    const write = decide(view).actions[0]
    assert.ok(write?.kind === 'writeStatus')
    assert.equal(write.status.observedGeneration, 3)
    assert.deepEqual(decide({ ...view, budget: budget({ minAvailable: 2 }, write.status) }).actions, [])
  })

  it('tells that a budget means no pods', () => {
    assert.deepEqual(decide({ budget: budget({ minAvailable: 1 }), pods: [], scale: scale(0) }).actions.map((a) => (a.kind === 'tell' ? a.reason : a.kind)), ['writeStatus', 'NoPods'])
  })
})
