import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Job, Stored } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { decideTtl } from './decide.ts'

const NOW = Date.UTC(2026, 0, 1)

test('a finished Job goes when its time is over, not before, and only then', () => {
  const of = (ttlSecondsAfterFinished: number | undefined, type: string, status = 'True') => {
    const job = { metadata: { name: 'j', namespace: 'default', uid: 'u' }, spec: { ttlSecondsAfterFinished }, status: { conditions: [{ type, status, lastTransitionTime: '2025-12-31T23:59:00Z' }] } } as unknown as Stored<Job>
    const { actions, wakeAtMs } = decideTtl(job, { nowMs: NOW, random: seededRandom(1) })
    return [actions, wakeAtMs]
  }
  const removed = [[{ kind: 'remove', uid: 'u' }], undefined]
  assert.deepStrictEqual([of(60, 'Complete'), of(0, 'Failed'), of(61, 'Failed'), of(undefined, 'Complete'), of(0, 'Suspended'), of(0, 'Complete', 'False')], [removed, removed, [[], NOW + 1000], [[], undefined], [[], undefined], [[], undefined]])
})
