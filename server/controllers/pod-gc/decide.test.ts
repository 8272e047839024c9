import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node, Pod, Stored } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { decidePodGc, QUARANTINE_MS, type PodGcView } from './decide.ts'

const NOW = 1_000_000
const meta = (name: string) => ({ name, namespace: 'd', uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' })
const pod = (over: { node?: string; deleting?: boolean; phase?: string } = {}): Stored<Pod> => ({
  metadata: { ...meta('p'), ...(over.deleting && { deletionTimestamp: '2026-01-01T00:00:00Z' }) },
  spec: { containers: [], ...(over.node !== undefined && { nodeName: over.node }) }, status: { phase: over.phase ?? 'Running' },
})
const node = (ready: string, taint?: string): Stored<Node> => ({
  metadata: meta('n'), spec: { ...(taint !== undefined && { taints: [{ key: taint, effect: 'NoExecute' }] }) }, status: { conditions: [{ type: 'Ready', status: ready }] },
})
const OUT = 'node.kubernetes.io/out-of-service'
const base: PodGcView = { pod: pod(), node: undefined, nodeMissingSinceMs: undefined, surplus: false }

const CASES: { name: string; view: Partial<PodGcView>; removes?: string; wakeAtMs?: number }[] = [
  { name: 'an ordinary pod', view: { pod: pod({ node: 'n' }), node: node('True') } },
  { name: 'a pod nobody has bound yet', view: {} },
  { name: 'its node has just gone', view: { pod: pod({ node: 'n' }), nodeMissingSinceMs: NOW - 1_000 }, wakeAtMs: NOW - 1_000 + QUARANTINE_MS },
  { name: 'its node is gone for good', view: { pod: pod({ node: 'n' }), nodeMissingSinceMs: NOW - QUARANTINE_MS }, removes: 'Orphaned' },
  { name: 'deleted before it was bound', view: { pod: pod({ deleting: true }) }, removes: 'Unscheduled' },
  { name: 'deleted, its node out of service', view: { pod: pod({ node: 'n', deleting: true }), node: node('Unknown', OUT) }, removes: 'OutOfService' },
  { name: 'deleted, its node tainted but ready', view: { pod: pod({ node: 'n', deleting: true }), node: node('True', OUT) } },
  { name: 'finished, and one too many', view: { pod: pod({ node: 'n', phase: 'Succeeded' }), node: node('True'), surplus: true }, removes: 'Terminated' },
]
for (const { name, view, removes, wakeAtMs } of CASES) {
  test(`${name}: ${removes ?? 'stays'}`, () => {
    const decision = decidePodGc({ ...base, ...view }, { nowMs: NOW, random: seededRandom(1) })
    assert.deepStrictEqual([decision.actions.map((a) => a.because), decision.wakeAtMs], [removes === undefined ? [] : [removes], wakeAtMs])
  })
}
