import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DAEMON_SETS, type DaemonSet, type Node, type Pod, type Stored } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { REVISION_HASH, newRevision, type Revision } from '../revisions.ts'
import { decideDaemonSet, type DaemonSetView } from './decide.ts'

const NOW = Date.UTC(2026, 0, 1, 12)
const at = (secondsAgo: number) => new Date(NOW - secondsAgo * 1000).toISOString().replace('.000', '')

const daemonSet = (rollingUpdate: object = {}, spec: object = {}): Stored<DaemonSet> => ({
  metadata: { name: 'ds', namespace: 'default', uid: 'ds', resourceVersion: '1', creationTimestamp: at(1000), generation: 2 },
  spec: { selector: { matchLabels: { app: 'ds' } }, template: { metadata: { labels: { app: 'ds' } }, spec: { containers: [] } }, updateStrategy: { type: 'RollingUpdate', rollingUpdate }, ...spec },
})
const revisionOf = (set: Stored<DaemonSet>): Revision => ({ ...newRevision({ ref: DAEMON_SETS, owner: set, template: set.spec?.template, collisions: 0, hashLabel: REVISION_HASH }, 1), metadata: { ...newRevision({ ref: DAEMON_SETS, owner: set, template: set.spec?.template, collisions: 0, hashLabel: REVISION_HASH }, 1).metadata, uid: 'r', resourceVersion: '1', creationTimestamp: at(900) } }) as Revision
const node = (name: string, taints: { key: string; effect: string }[] = []): Stored<Node> => ({ metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: at(900) }, spec: { taints } })

interface Quick { ready?: number; old?: boolean; phase?: string; deleting?: boolean; age?: number }
const HASH = revisionOf(daemonSet()).metadata.labels?.[REVISION_HASH] ?? ''
const pod = (name: string, nodeName: string, q: Quick = {}): Stored<Pod> => ({
  metadata: {
    name, namespace: 'default', uid: `u-${name}`, resourceVersion: '1', creationTimestamp: at(q.age ?? 500), labels: { app: 'ds', [REVISION_HASH]: q.old ? 'old' : HASH },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'ds', uid: 'ds', controller: true }], ...(q.deleting && { deletionTimestamp: at(1) }),
  },
  spec: { containers: [], nodeName }, status: { phase: q.phase ?? 'Running', ...(q.ready !== undefined && { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: at(q.ready) }] }) },
})

function decide(pods: Stored<Pod>[], over: Partial<DaemonSetView> = {}) {
  const set = over.set ?? daemonSet()
  const names = [...new Set(pods.map((p) => p.spec?.nodeName ?? ''))]
  const { actions, wakeAtMs } = decideDaemonSet({ set, nodes: names.map((n) => node(n)), pods, revisions: [revisionOf(set)], retryMs: new Map(), unseenUntilMs: undefined, ...over }, { nowMs: NOW, random: seededRandom(1) })
  return {
    wakeAtMs, told: actions.flatMap((a) => (a.kind === 'tell' ? [`${a.reason} ${a.message}`] : [])),
    deleted: actions.flatMap((a) => (a.kind === 'deletePods' ? a.pods.map((p) => p.metadata.name) : [])),
    created: actions.flatMap((a) => (a.kind === 'createPods' ? a.pods.map((p) => p.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms[0]?.matchFields?.[0]?.values?.[0]) : [])),
  }
}
const changes = (...args: Parameters<typeof decide>) => { const { deleted, created } = decide(...args); return { deleted, created } }

const CASES: { name: string; set?: Stored<DaemonSet>; pods: Stored<Pod>[]; nodes?: Stored<Node>[]; deleted?: string[]; created?: string[] }[] = [
  { name: 'one old pod at a time is replaced', pods: [pod('a', 'a', { old: true, ready: 9 }), pod('b', 'b', { old: true, ready: 9 })], deleted: ['a'] },
  { name: 'none more while a new one is not ready', pods: [pod('a', 'a'), pod('b', 'b', { old: true, ready: 9 })], deleted: [] },
  { name: 'old pods that are not available go at once', pods: [pod('a', 'a'), pod('b', 'b', { old: true })], deleted: ['b'] },
  { name: 'half of them may be away', set: daemonSet({ maxUnavailable: '50%' }), pods: ['a', 'b', 'c', 'd'].map((n) => pod(n, n, { old: true, ready: 9 })), deleted: ['a', 'b'] },
  { name: 'OnDelete leaves them', set: daemonSet({}, { updateStrategy: { type: 'OnDelete' } }), pods: [pod('a', 'a', { old: true, ready: 9 })], deleted: [] },
  { name: 'surging makes the new one first', set: daemonSet({ maxSurge: 1, maxUnavailable: 0 }), pods: [pod('a', 'a', { old: true, ready: 9 }), pod('b', 'b', { old: true, ready: 9 })], created: ['a'] },
  { name: 'and lets the old one go when the new one is available', set: daemonSet({ maxSurge: 1, maxUnavailable: 0 }), pods: [pod('a', 'a', { old: true, ready: 9 }), pod('a2', 'a', { ready: 3 })], deleted: ['a'] },
  { name: 'or is not ready any more', set: daemonSet({ maxSurge: 1, maxUnavailable: 0 }), pods: [pod('a', 'a', { old: true }), pod('a2', 'a')], deleted: ['a'] },
  { name: 'of two on a node the younger goes', pods: [pod('a', 'a', { ready: 9, age: 5 }), pod('a2', 'a', { ready: 9, age: 50 })], deleted: ['a'] },
  { name: 'a finished pod is replaced', pods: [pod('a', 'a', { phase: 'Succeeded' })], deleted: ['a'] },
  { name: 'a node that will not have it loses it', pods: [pod('a', 'a', { ready: 9 })], nodes: [node('a', [{ key: 'x', effect: 'NoExecute' }])], deleted: ['a'] },
  { name: 'a node that takes no more keeps it', pods: [pod('a', 'a', { ready: 9 })], nodes: [node('a', [{ key: 'x', effect: 'NoSchedule' }]), node('b', [{ key: 'x', effect: 'NoSchedule' }])], deleted: [] },
  { name: 'what a node has of its own does not matter', pods: [], nodes: [node('a', [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }, { key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' }])], created: ['a'] },
]
for (const { name, set, pods, nodes, deleted = [], created = [] } of CASES) {
  test(`rollout: ${name}`, () => assert.deepStrictEqual(changes(pods, { ...(set && { set }), ...(nodes && { nodes }) }), { deleted, created }))
}

test('a failed pod is told of and replaced, the next one after a while', () => {
  const pods = [pod('a', 'a', { phase: 'Failed' })]
  assert.deepStrictEqual(decide(pods), { wakeAtMs: undefined, told: ['FailedDaemonPod Found failed daemon pod default/a on node a, will try to kill it'], deleted: ['a'], created: [] })
  assert.deepStrictEqual(decide(pods, { retryMs: new Map([['a', NOW + 5_000]]) }), { wakeAtMs: NOW + 5_000, told: [], deleted: [], created: [] })
})
