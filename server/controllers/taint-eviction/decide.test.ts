import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node, Pod, Stored, Taint, Toleration } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { tolerates } from '#api/types/index.ts'
import { decideTaintEviction } from './decide.ts'

const NOW = Date.UTC(2026, 0, 1, 12)
const meta = (name: string) => ({ name, uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' })
const pod = (tolerations: Toleration[]): Stored<Pod> => ({ metadata: meta('p'), spec: { containers: [], nodeName: 'n', tolerations } })
const node = (taints: Taint[]): Stored<Node> => ({ metadata: meta('n'), spec: { taints } })
const lost: Taint = { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute', timeAdded: '2026-01-01T11:59:00Z' }
const decide = (tolerations: Toleration[], taints: Taint[], announced = false) =>
  decideTaintEviction({ pod: pod(tolerations), node: node(taints), seenMs: NOW, announced }, { nowMs: NOW, random: seededRandom(1) })
const exists = (seconds?: number): Toleration => ({ key: lost.key, operator: 'Exists', effect: 'NoExecute', ...(seconds !== undefined && { tolerationSeconds: seconds }) })

test('a pod leaves at once, later, or never, as its tolerations say', () => {
  assert.deepStrictEqual(decide([], [lost]).actions.map((a) => a.kind), ['announce', 'evict'])
  assert.deepStrictEqual(decide([exists(300)], [lost]), { actions: [], because: 'tolerated for a while', wakeAtMs: NOW + 240_000 })
  assert.deepStrictEqual(decide([exists(60)], [lost]).actions.map((a) => a.kind), ['announce', 'evict'])
  assert.deepStrictEqual(decide([exists()], [lost]), { actions: [], because: 'may stay' })
  assert.deepStrictEqual(decide([exists(300), exists(70)], [lost]).wakeAtMs, NOW + 10_000)
  assert.deepStrictEqual(decide([exists(300)], [lost, { key: 'other', effect: 'NoExecute' }]).actions.map((a) => a.kind), ['announce', 'evict'])
  assert.deepStrictEqual(decide([], [{ key: 'x', effect: 'NoSchedule' }]), { actions: [], because: 'may stay' })
  assert.deepStrictEqual(decide([], [], true).actions, [{ kind: 'cancel' }])
})

const CASES: [Toleration, Taint, boolean][] = [
  [{ operator: 'Exists' }, lost, true],
  [{ key: 'a', value: 'b' }, { key: 'a', value: 'b', effect: 'NoExecute' }, true],
  [{ key: 'a', value: 'b' }, { key: 'a', value: 'c', effect: 'NoExecute' }, false],
  [{ key: 'a', operator: 'Exists', effect: 'NoSchedule' }, { key: 'a', effect: 'NoExecute' }, false],
  [{ key: 'a', operator: 'Gt', value: '5' }, { key: 'a', value: '9', effect: 'NoExecute' }, true],
  [{ key: 'a', operator: 'Lt', value: '5' }, { key: 'a', value: '9', effect: 'NoExecute' }, false],
]
for (const [toleration, taint, expected] of CASES) {
  test(`${JSON.stringify(toleration)} ${expected ? 'tolerates' : 'does not tolerate'} ${taint.key}=${taint.value ?? ''}`, () => assert.equal(tolerates(toleration, taint), expected))
}
