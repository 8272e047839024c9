import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod, ReplicaSet, Stored } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { decideReplicaSet, type ReplicaSetView } from './decide.ts'
import { podsToDelete } from './rank.ts'

const NOW = Date.UTC(2026, 0, 1, 12)
const at = (secondsAgo: number) => new Date(NOW - secondsAgo * 1000).toISOString().replace('.000', '')

const rs = (spec: Partial<NonNullable<ReplicaSet['spec']>> = {}, status?: ReplicaSet['status']): Stored<ReplicaSet> => ({
  apiVersion: 'apps/v1', kind: 'ReplicaSet', ...(status && { status }),
  metadata: { name: 'web', namespace: 'default', uid: 'rs', resourceVersion: '1', creationTimestamp: at(1000), generation: 2 },
  spec: { replicas: 2, selector: { matchLabels: { app: 'web' } }, template: { metadata: { labels: { app: 'web' }, annotations: { a: 'b' } }, spec: { containers: [] } }, ...spec },
})

interface Quick { owner?: string | null; labels?: Record<string, string>; ready?: number; phase?: string; deleting?: boolean; node?: string; cost?: string; restarts?: number; age?: number }

function pod(name: string, q: Quick = {}): Stored<Pod> {
  const owner = q.owner === undefined ? 'rs' : q.owner
  return {
    metadata: {
      name, namespace: 'default', uid: `u-${name}`, resourceVersion: '1', creationTimestamp: at(q.age ?? 500), labels: q.labels ?? { app: 'web' },
      ...(owner !== null && { ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: owner, controller: true }] }),
      ...(q.deleting && { deletionTimestamp: at(1) }), ...(q.cost !== undefined && { annotations: { 'controller.kubernetes.io/pod-deletion-cost': q.cost } }),
    },
    spec: { containers: [{ name: 'c' }], ...(q.node !== undefined && { nodeName: q.node }) },
    status: {
      phase: q.phase ?? 'Running', containerStatuses: [{ name: 'c', image: '', imageID: '', ready: true, restartCount: q.restarts ?? 0 }],
      ...(q.ready !== undefined && { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: at(q.ready) }] }),
    },
  }
}

const decide = (view: Partial<ReplicaSetView>) =>
  decideReplicaSet({ replicaSet: rs(), pods: [], relatedPodsByNode: new Map(), failure: undefined, unseenUntilMs: undefined, ...view }, { nowMs: NOW, random: seededRandom(5) })

const status = (s: Partial<NonNullable<ReplicaSet['status']>>) => ({ replicas: 0, terminatingReplicas: 0, observedGeneration: 2, ...s })

test('missing pods are created from the template, owned and named after the set', () => {
  const { actions, because } = decide({ replicaSet: rs({ replicas: 1 }, status({})) })
  assert.equal(because, '0 of 1 pods: creating 1')
  const [create, ...more] = actions
  assert.deepStrictEqual(more, [])
  assert.ok(create?.kind === 'createPods')
  const name = create.pods[0]?.metadata?.name ?? ''
  assert.match(name, /^web-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
  assert.deepStrictEqual(create.pods, [{
    apiVersion: 'v1', kind: 'Pod', spec: { containers: [] },
    metadata: {
      name, generateName: 'web-', namespace: 'default', labels: { app: 'web' }, annotations: { a: 'b' },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'rs', controller: true, blockOwnerDeletion: true }],
    },
  }])
})

test('status counts ready, available, labelled and terminating pods, and wakes when minReadySeconds are over', () => {
  const replicaSet = rs({ replicas: 3, minReadySeconds: 30 })
  const pods = [pod('a', { ready: 100 }), pod('b', { ready: 10 }), pod('c'), pod('d', { deleting: true }), pod('e', { phase: 'Failed' })]
  assert.deepStrictEqual(decide({ replicaSet, pods }), {
    actions: [{ kind: 'writeStatus', status: { replicas: 3, fullyLabeledReplicas: 3, readyReplicas: 2, availableReplicas: 1, terminatingReplicas: 1, observedGeneration: 2 } }],
    because: '3 of 3 pods', wakeAtMs: NOW + 20_000,
  })
})

test('matching orphans are adopted and count, strangers are left alone, pods that stopped matching are released and replaced', () => {
  const pods = [pod('orphan', { owner: null }), pod('other', { owner: 'someone' }), pod('stray', { labels: { app: 'x' } })]
  const { actions } = decide({ replicaSet: rs({ replicas: 2 }), pods })
  assert.deepStrictEqual(actions.map((a) => ('name' in a ? `${a.kind} ${a.name}` : a.kind)), ['adoptPod orphan', 'releasePod stray', 'writeStatus', 'createPods'])
  assert.equal(actions.find((a) => a.kind === 'createPods')?.pods.length, 1)
})

test('a set that is being deleted creates, adopts and deletes nothing', () => {
  const replicaSet = rs({ replicas: 2 }, status({}))
  replicaSet.metadata.deletionTimestamp = at(1)
  assert.deepStrictEqual(decide({ replicaSet, pods: [pod('o', { owner: null })] }).actions, [])
})

test('a failure to create shows as ReplicaFailure while pods are missing, and not after', () => {
  const failure = { reason: 'FailedCreate' as const, message: 'quota' }
  const failing = decide({ failure }).actions[0]
  assert.ok(failing?.kind === 'writeStatus')
  assert.deepStrictEqual(failing.status.conditions, [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'quota', lastTransitionTime: at(0) }])
  const well = decide({ failure, replicaSet: rs({}, failing.status), pods: [pod('a', { ready: 1 }), pod('b', { ready: 1 })] }).actions[0]
  assert.ok(well?.kind === 'writeStatus')
  assert.equal(well.status.conditions, undefined)
})

test('an empty selector claims nothing', () => {
  const { actions } = decide({ replicaSet: rs({ selector: {}, replicas: 0 }, status({})), pods: [pod('o', { owner: null })] })
  assert.deepStrictEqual(actions, [])
})

const RANKS: { name: string; pods: [string, Quick][]; related?: [string, number][]; goes: string[] }[] = [
  { name: 'unassigned before assigned', pods: [['a', { node: 'n', ready: 9 }], ['b', { ready: 9 }]], goes: ['b'] },
  { name: 'pending before running', pods: [['a', { node: 'n' }], ['b', { node: 'n', phase: 'Pending' }]], goes: ['b'] },
  { name: 'not ready before ready, whatever the cost says', pods: [['a', { node: 'n', ready: 9, cost: '-5' }], ['b', { node: 'n', cost: '5' }]], goes: ['b'] },
  { name: 'cheap before dear', pods: [['a', { node: 'n', ready: 9, cost: '10' }], ['b', { node: 'n', ready: 9, cost: '-1' }], ['c', { node: 'n', ready: 9 }]], goes: ['b', 'c'] },
  { name: 'doubled up on a node before alone', pods: [['a', { node: 'n', ready: 9 }], ['b', { node: 'm', ready: 9 }]], related: [['n', 1], ['m', 3]], goes: ['b'] },
  { name: 'recently ready before long ready, by powers of two', pods: [['a', { node: 'n', ready: 1000 }], ['b', { node: 'n', ready: 3 }]], goes: ['b'] },
  { name: 'often restarted first', pods: [['a', { node: 'n', ready: 9 }], ['b', { node: 'n', ready: 9, restarts: 4 }]], goes: ['b'] },
  { name: 'young before old', pods: [['a', { node: 'n', ready: 9, age: 9000 }], ['b', { node: 'n', ready: 9, age: 100 }]], goes: ['b'] },
]
for (const { name, pods, related, goes } of RANKS) {
  test(`deletion order: ${name}`, () => {
    const all = pods.map(([n, q]) => pod(n, q))
    for (const order of [all, all.toReversed()]) assert.deepStrictEqual(podsToDelete(order, goes.length, new Map(related), NOW).map((p) => p.metadata.name), goes)
  })
}
