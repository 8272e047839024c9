import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node, Pod, Stored, Taint } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { decideNodeLifecycle, type NodeLifecycleView } from './decide.ts'
import { evictionEveryMs, zoneState } from './zones.ts'

const NOW = Date.UTC(2026, 0, 1, 12)
const NOW_TEXT = '2026-01-01T12:00:00Z'
const node = (ready: string | undefined, taints: Taint[] = [], spec: Partial<NonNullable<Node['spec']>> = {}): Stored<Node> => ({
  metadata: { name: 'n', uid: 'n', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { ...(taints.length > 0 && { taints }), ...spec },
  status: ready === undefined ? {} : { conditions: ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready'].map((type) => ({ type, status: type === 'Ready' ? ready : ready === 'Unknown' ? 'Unknown' : 'False', reason: 'r', message: 'm' })) },
})
const decide = (view: Partial<NodeLifecycleView>) =>
  decideNodeLifecycle({ node: node('True'), heardMs: NOW, graceMs: 40_000, startupGraceMs: 60_000, mayEvictAtMs: NOW, pods: [], ...view }, { nowMs: NOW, random: seededRandom(1) })
const taint = (key: string, effect: string) => ({ key: `node.kubernetes.io/${key}`, effect, timeAdded: NOW_TEXT })

test('a node that is heard of is left alone until its grace would end', () => {
  assert.deepStrictEqual(decide({ heardMs: NOW - 10_000 }), { actions: [], because: 'Ready is True', wakeAtMs: NOW + 30_000 })
})

test('a silent node becomes Unknown, is tainted, told of, and its pods are not ready any more', () => {
  const pod: Stored<Pod> = {
    metadata: { name: 'p', namespace: 'd', uid: 'p', resourceVersion: '1', creationTimestamp: NOW_TEXT },
    status: { conditions: [{ type: 'PodScheduled', status: 'True' }, { type: 'Ready', status: 'True' }] },
  }
  const lost = (type: string) => ({ type, status: 'Unknown', reason: 'NodeStatusUnknown', message: 'Kubelet stopped posting node status.', lastTransitionTime: NOW_TEXT })
  assert.deepStrictEqual(decide({ heardMs: NOW - 40_000, pods: [pod] }).actions, [
    { kind: 'writeConditions', conditions: ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'].map(lost) },
    { kind: 'writeTaints', taints: [taint('unreachable', 'NoSchedule'), taint('unreachable', 'NoExecute')], evicting: true },
    { kind: 'nodeNotReadyEvent' },
    { kind: 'markPodNotReady', pod, conditions: [{ type: 'PodScheduled', status: 'True' }, { type: 'Ready', status: 'False', lastTransitionTime: NOW_TEXT }] },
  ])
})

test('pods of a node that is not ready are marked once: one whose kubelet has said that it is ready since then is left alone', () => {
  const away = node('False')
  for (const c of away.status?.conditions ?? []) c.lastTransitionTime = '2026-01-01T11:59:00Z'
  const marked = (lastTransitionTime: string) => {
    const pod: Stored<Pod> = { metadata: { name: 'p', namespace: 'd', uid: 'p', resourceVersion: '1', creationTimestamp: NOW_TEXT }, status: { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime }] } }
    return decide({ node: away, pods: [pod] }).actions.some((a) => a.kind === 'markPodNotReady')
  }
  assert.deepStrictEqual(['2026-01-01T11:58:59Z', '2026-01-01T11:59:00Z', '2026-01-01T11:59:30Z'].map(marked), [true, false, false])
})

test('a node that never reported says so, after a longer grace', () => {
  assert.deepStrictEqual(decide({ node: node(undefined), heardMs: NOW - 59_999 }).actions.filter((a) => a.kind === 'writeConditions'), [])
  const [write] = decide({ node: node(undefined), heardMs: NOW - 60_000 }).actions
  assert.ok(write?.kind === 'writeConditions')
  assert.deepStrictEqual([...new Set(write.conditions.map((c) => c.reason))], ['NodeStatusNeverUpdated'])
})

const foreign: Taint = { key: 'mine', effect: 'NoExecute', value: 'x' }
const TAINTS: { name: string; view: Partial<NodeLifecycleView>; taints: Taint[] | undefined }[] = [
  { name: 'not ready', view: { node: node('False') }, taints: [taint('not-ready', 'NoSchedule'), taint('not-ready', 'NoExecute')] },
  { name: 'not ready, too many others too', view: { node: node('False'), mayEvictAtMs: undefined }, taints: [taint('not-ready', 'NoSchedule')] },
  { name: 'not ready, another one was evicted just now', view: { node: node('False'), mayEvictAtMs: NOW + 5_000 }, taints: [taint('not-ready', 'NoSchedule')] },
  { name: 'ready again: ours go, foreign stay', view: { node: node('True', [taint('unreachable', 'NoSchedule'), foreign, taint('unreachable', 'NoExecute')]) }, taints: [foreign] },
  { name: 'just admitted, nothing reported yet: the taint of admission stays', view: { node: node(undefined, [taint('not-ready', 'NoSchedule')]) }, taints: undefined },
  { name: 'cordoned', view: { node: node('True', [foreign], { unschedulable: true }) }, taints: [foreign, taint('unschedulable', 'NoSchedule')] },
  { name: 'everyone is lost: taints that evict are taken back', view: { node: node('Unknown', [taint('unreachable', 'NoSchedule'), taint('unreachable', 'NoExecute')]), mayEvictAtMs: undefined }, taints: [taint('unreachable', 'NoSchedule')] },
  { name: 'as it should be', view: { node: node('False', [taint('not-ready', 'NoSchedule'), taint('not-ready', 'NoExecute')]) }, taints: undefined },
  { name: 'not ready instead of unreachable does not wait for the pace', view: { node: node('False', [taint('unreachable', 'NoSchedule'), taint('unreachable', 'NoExecute')]), mayEvictAtMs: NOW + 5_000 }, taints: [taint('not-ready', 'NoSchedule'), taint('not-ready', 'NoExecute')] },
]
for (const { name, view, taints } of TAINTS) {
  test(`taints: ${name}`, () => {
    const written = decide(view).actions.filter((a) => a.kind === 'writeTaints')
    assert.deepStrictEqual(written.map((a) => a.taints), taints === undefined ? [] : [taints])
  })
}

test('zones: all down means we are cut off; much of a small zone down stops evictions there', () => {
  assert.deepStrictEqual([zoneState({ ready: 1, notReady: 2 }), zoneState({ ready: 2, notReady: 3 }), zoneState({ ready: 0, notReady: 1 })], ['normal', 'partial', 'full'])
  const down = { ready: 0, notReady: 2 }
  const up = { ready: 3, notReady: 1 }
  const small = { ready: 2, notReady: 4 }
  const large = { ready: 20, notReady: 40 }
  assert.deepStrictEqual([
    evictionEveryMs(down, [down]), evictionEveryMs(down, [down, up]), evictionEveryMs(up, [up]), evictionEveryMs(small, [small]), evictionEveryMs(large, [large]),
  ], [undefined, 10_000, 10_000, undefined, 100_000])
})
