import assert from 'node:assert/strict'
import { test } from 'node:test'
import { STATEFUL_SETS, type PersistentVolumeClaim, type Pod, type StatefulSet, type Stored } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { REVISION_HASH, newRevision, type Revision } from '../revisions.ts'
import { nextOwners } from './claims.ts'
import { HASH_LABEL, decideStatefulSet } from './decide.ts'

const NOW = Date.UTC(2026, 0, 1, 12)
const at = (secondsAgo: number) => new Date(NOW - secondsAgo * 1000).toISOString().replace('.000', '')
const META = { namespace: 'default', resourceVersion: '1', creationTimestamp: at(1000) }

const statefulSet = (spec: object = {}, status: object = {}): Stored<StatefulSet> => ({
  metadata: { ...META, name: 'db', uid: 'db', generation: 1 },
  spec: { replicas: 3, selector: { matchLabels: { app: 'db' } }, template: { metadata: { labels: { app: 'db' } }, spec: { containers: [] } }, serviceName: 'db', ...spec }, status: { replicas: 0, ...status },
})
const BASE = statefulSet()
const NEW = newRevision({ ref: STATEFUL_SETS, owner: BASE, template: BASE.spec?.template, collisions: 0, hashLabel: HASH_LABEL }, 2)
const UPDATE: Revision = { ...NEW, metadata: { ...META, ...NEW.metadata, name: NEW.metadata?.name ?? '', uid: 'new' } }
const OLD: Revision = { ...NEW, revision: 1, data: { spec: { template: { metadata: { labels: { app: 'db', old: 'yes' } }, spec: { containers: [] }, $patch: 'replace' } } }, metadata: { ...META, name: 'db-old', uid: 'old' } }

interface Quick { old?: boolean; ready?: number; phase?: string; deleting?: boolean }
const pod = (ordinal: number, q: Quick = {}): Stored<Pod> => ({
  metadata: {
    ...META, name: `db-${ordinal}`, uid: `u${ordinal}`, ...(q.deleting && { deletionTimestamp: at(1) }),
    labels: { app: 'db', [REVISION_HASH]: q.old ? 'db-old' : UPDATE.metadata.name, 'statefulset.kubernetes.io/pod-name': `db-${ordinal}`, 'apps.kubernetes.io/pod-index': String(ordinal) },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 'db', controller: true }],
  },
  spec: { containers: [] }, status: { phase: q.phase ?? 'Running', ...(q.ready !== undefined && { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: at(q.ready) }] }) },
})
const OK = { ready: 60 }

function steps(set: Stored<StatefulSet>, pods: Stored<Pod>[]) {
  const { actions, wakeAtMs } = decideStatefulSet({ set, pods, revisions: [OLD, UPDATE], claimOf: () => undefined, unseenUntilMs: undefined }, { nowMs: NOW, random: seededRandom(1) })
  const does = actions.flatMap((a) => (a.kind === 'createPods' ? a.pods.map(({ pod: p }) => `+${p.metadata?.name}${p.metadata?.labels?.[REVISION_HASH] === 'db-old' ? ' old' : ''}`) : a.kind === 'deletePods' ? a.pods.map((p) => `-${p.metadata.name}`) : a.kind === 'tell' ? [a.reason] : []))
  return wakeAtMs === undefined ? does : [...does, `in ${(wakeAtMs - NOW) / 1000} s`]
}

const rolling = (rollingUpdate: object, spec: object = {}) => statefulSet({ updateStrategy: { type: 'RollingUpdate', rollingUpdate }, ...spec }, { currentRevision: 'db-old' })
const parallel = { podManagementPolicy: 'Parallel' }
const old = { old: true, ...OK }

const CASES: { name: string; set?: Stored<StatefulSet>; pods: Stored<Pod>[]; does: string[] }[] = [
  { name: 'the first comes first', pods: [], does: ['+db-0'] },
  { name: 'the next waits for it', pods: [pod(0)], does: [] },
  { name: 'and comes when it is ready', pods: [pod(0, OK)], does: ['+db-1'] },
  { name: 'or has been for a while', set: statefulSet({ minReadySeconds: 90 }), pods: [pod(0, OK)], does: ['in 30 s'] },
  { name: 'in parallel all come', set: statefulSet(parallel), pods: [pod(1)], does: ['+db-0', '+db-2'] },
  { name: 'a failed one is made again', pods: [pod(0, { phase: 'Failed' })], does: ['RecreatingFailedPod', '-db-0'] },
  { name: 'a finished one, too', pods: [pod(0, { phase: 'Succeeded' })], does: ['RecreatingTerminatedPod', '-db-0'] },
  { name: 'one that goes is waited for', pods: [pod(0, OK), pod(1, { deleting: true })], does: [] },
  { name: 'surplus ones go from the last', set: statefulSet({ replicas: 1 }), pods: [pod(0, OK), pod(1, OK), pod(2, OK)], does: ['-db-2'] },
  { name: 'while none goes', set: statefulSet({ replicas: 1 }), pods: [pod(0, OK), pod(1, OK), pod(2, { deleting: true })], does: [] },
  { name: 'a broken one before the last is waited for', set: statefulSet({ replicas: 0 }), pods: [pod(0), pod(1, OK), pod(2)], does: [] },
  { name: 'in parallel all go', set: statefulSet({ replicas: 1, ...parallel }), pods: [pod(0, OK), pod(1), pod(2, OK)], does: ['-db-2', '-db-1'] },
  { name: 'a rollout begins at the end', set: rolling({}), pods: [pod(0, old), pod(1, old), pod(2, old)], does: ['-db-2'] },
  { name: 'and stops at the partition', set: rolling({ partition: 2 }), pods: [pod(0, old), pod(1, old), pod(2, OK)], does: [] },
  { name: 'two may be away', set: rolling({ maxUnavailable: 2 }), pods: [pod(0, old), pod(1, old), pod(2, old)], does: ['-db-2', '-db-1'] },
  { name: 'one that is away counts', set: rolling({ maxUnavailable: 2 }, parallel), pods: [pod(0, old), pod(1, old), pod(2)], does: ['-db-1'] },
  { name: 'a broken old one goes first', set: rolling({}, parallel), pods: [pod(0, { old: true }), pod(1, old), pod(2, old)], does: ['-db-0'] },
  { name: 'OnDelete replaces nothing', set: statefulSet({ updateStrategy: { type: 'OnDelete' } }, { currentRevision: 'db-old' }), pods: [pod(0, old), pod(1, old), pod(2, old)], does: [] },
  { name: 'below the partition what is lost comes back as it was', set: rolling({ partition: 1 }), pods: [pod(1, OK), pod(2, OK)], does: ['+db-0 old'] },
]
for (const { name, set = statefulSet(), pods, does } of CASES) test(`StatefulSet: ${name}`, () => assert.deepStrictEqual(steps(set, pods), does))

test('claims are owned by the set, by the pod that goes, or by nobody, as the policy says', () => {
  const claim = (owner?: string): Stored<PersistentVolumeClaim> => ({ metadata: { ...META, name: 'data-db-0', uid: 'c', ...(owner !== undefined && { ownerReferences: [{ apiVersion: 'v1', kind: 'X', name: owner, uid: owner }] }) } })
  const owners = (policy: object, isSurplus: boolean, owner?: string) => nextOwners(statefulSet({ persistentVolumeClaimRetentionPolicy: policy }), pod(0), claim(owner), isSurplus)?.map((o) => `${o.kind} ${o.controller}`)
  assert.deepStrictEqual([
    owners({}, false), owners({}, true, 'db'), owners({ whenDeleted: 'Delete' }, false), owners({ whenDeleted: 'Delete' }, false, 'db'), owners({ whenScaled: 'Delete' }, false, 'db'), owners({ whenScaled: 'Delete' }, true),
    owners({ whenScaled: 'Delete', whenDeleted: 'Delete' }, true, 'db'), owners({ whenDeleted: 'Delete' }, false, 'other'),
  ], [undefined, [], ['StatefulSet true'], undefined, [], ['Pod true'], ['Pod true'], ['X undefined', 'StatefulSet true']])
})
