import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Deployment } from '#api/types/index.ts'
import { limitsOf, MAX_REPLICAS, proportionalSizes, scaleDownOld, type Rs } from './sizes.ts'

const d = (replicas: number, maxSurge: number | string, maxUnavailable: number | string): Deployment =>
  ({ spec: { replicas, selector: {}, template: {}, strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } } } })
const rs = (name: string, replicas: number, available: number, max?: number): Rs => ({
  metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: `2026-01-01T00:00:0${name.length}Z`, ...(max !== undefined && { annotations: { [MAX_REPLICAS]: String(max) } }) },
  spec: { replicas, selector: {} }, status: { replicas, availableReplicas: available },
})
const names = (sizes: Map<Rs, number>) => Object.fromEntries([...sizes].map(([r, n]) => [r.metadata.name, n]))

test('surge is rounded up, unavailable down, and never are both nothing', () => {
  const table = [[10, '25%', '25%', 3, 2], [1, '25%', '25%', 1, 0], [3, 0, '1%', 0, 1], [2, '100%', '100%', 2, 2], [4, 0, 10, 0, 4], [0, 1, 1, 1, 0]] as const
  assert.deepStrictEqual(table.map(([n, s, u]) => limitsOf(d(n, s, u))), table.map(([, , , maxSurge, maxUnavailable]) => ({ maxSurge, maxUnavailable })))
})

// Upstream's table: TestDeploymentController_reconcileOldReplicaSets and its neighbours.
const DOWN: { name: string; desired: number; unavailable: number; newRs: [number, number]; old: [string, number, number][]; sizes: Record<string, number> }[] = [
  { name: 'nothing old', desired: 10, unavailable: 2, newRs: [10, 10], old: [], sizes: {} },
  { name: 'all healthy: as many as may be missing', desired: 10, unavailable: 2, newRs: [0, 0], old: [['o', 10, 10]], sizes: { o: 8 } },
  { name: 'what is not available goes first', desired: 10, unavailable: 2, newRs: [0, 0], old: [['o', 10, 8]], sizes: { o: 8 } },
  // 13 pods, 8 must be available, 2 new ones are not: 3 may go, the 2 unavailable ones and one more.
  { name: 'new pods that are not available yet take their share of the room', desired: 10, unavailable: 2, newRs: [5, 3], old: [['o', 8, 6]], sizes: { o: 5 } },
  { name: 'while new pods fill what may be missing, not even unhealthy old ones go', desired: 10, unavailable: 2, newRs: [4, 0], old: [['o', 8, 3]], sizes: {} },
  { name: 'new pods that will never be available: nothing healthy is given up', desired: 10, unavailable: 2, newRs: [4, 0], old: [['o', 8, 8]], sizes: {} },
  // Its size went from 12 to 6, its status is of before: 6 of the 12 it tells of go anyway, so 6 + 11 stay and 12 have to.
  { name: 'pods that are to go already do not count as available', desired: 12, unavailable: 0, newRs: [12, 11], old: [['o', 6, 12]], sizes: { o: 1 } },
  { name: 'nor those of a set that is to be empty', desired: 4, unavailable: 0, newRs: [4, 3], old: [['o', 0, 4], ['oo', 2, 2]], sizes: { oo: 1 } },
  { name: 'the oldest set first', desired: 4, unavailable: 1, newRs: [3, 3], old: [['o', 1, 1], ['oo', 1, 1]], sizes: { o: 0, oo: 0 } },
  { name: 'unhealthy ones of several sets', desired: 10, unavailable: 0, newRs: [4, 4], old: [['o', 3, 2], ['oo', 5, 4]], sizes: { o: 2, oo: 4 } },
]
for (const { name, desired, unavailable, newRs, old, sizes } of DOWN) {
  test(`scaling down: ${name}`, () => {
    assert.deepStrictEqual(names(scaleDownOld(d(desired, 3, unavailable), rs('new', ...newRs), old.map((o) => rs(...o)))), sizes)
  })
}

// Upstream's TestScale.
const PROPORTION: { name: string; desired: number; surge: number; sets: [string, number, number][]; sizes: Record<string, number> }[] = [
  { name: 'up, in proportion', desired: 20, surge: 0, sets: [['ccc', 5, 10], ['bb', 3, 10], ['a', 2, 10]], sizes: { ccc: 10, bb: 6, a: 4 } },
  { name: 'down, in proportion', desired: 5, surge: 0, sets: [['ccc', 5, 10], ['bb', 3, 10], ['a', 2, 10]], sizes: { ccc: 2, bb: 2, a: 1 } },
  { name: 'to nothing', desired: 0, surge: 3, sets: [['bb', 5, 10], ['a', 5, 10]], sizes: { bb: 0, a: 0 } },
  { name: 'with surge: what is left over goes to the biggest', desired: 6, surge: 3, sets: [['bb', 5, 8], ['a', 2, 8]], sizes: { bb: 7, a: 2 } },
]
for (const { name, desired, surge, sets, sizes } of PROPORTION) {
  test(`scaling in the middle of a rollout: ${name}`, () => {
    assert.deepStrictEqual(names(proportionalSizes(d(desired, surge, 1), sets.map(([n, replicas, max]) => rs(n, replicas, replicas, max)))), sizes)
  })
}
