import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONFIG_MAPS, PODS, type Namespace, type ResourceRef, type Stored } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { decideNamespace, type NamespaceView, type Remaining } from './decide.ts'

const NOW = Date.UTC(2026, 0, 1)
const namespace = (finalizers = ['kubernetes', 'other']): Stored<Namespace> => ({
  metadata: { name: 'team', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z', deletionTimestamp: '2026-01-01T00:00:00Z' },
  spec: { finalizers }, status: { phase: 'Terminating' },
})
const left = (ref: ResourceRef, count: number, over: Partial<Remaining> = {}): Remaining => ({ ref, count, undeleted: count, finalizers: {}, canDeleteCollection: true, ...over })
const decide = (remaining: Remaining[], over: Partial<NamespaceView> = {}, failures: string[] = []) =>
  decideNamespace({ namespace: namespace(), attempts: 0, content: { remaining, discoveryFailures: failures, listFailures: [] }, ...over }, { nowMs: NOW, random: seededRandom(1) })
const kinds = (d: ReturnType<typeof decide>) => d.actions.map((a) => (a.kind === 'deleteCollection' ? `${a.kind} ${a.ref.resource}` : a.kind))

test('pods go first, then everything else, then the namespace itself', () => {
  assert.deepStrictEqual(kinds(decide([left(CONFIG_MAPS, 2), left(PODS, 1)])), ['deleteCollection pods', 'writeStatus'])
  assert.deepStrictEqual(kinds(decide([left(CONFIG_MAPS, 2), left(PODS, 1, { undeleted: 0 })])), ['writeStatus'])
  assert.deepStrictEqual(kinds(decide([left(CONFIG_MAPS, 2)])), ['deleteCollection configmaps', 'writeStatus'])
  const last = decide([])
  assert.deepStrictEqual(last.actions.at(-1), { kind: 'finalize', finalizers: ['other'] })
  assert.equal(last.wakeAtMs, undefined)
})

test('nothing is finalized while some group could not be asked; it is looked at again, later each time', () => {
  const first = decide([], {}, ['metrics/v1: down'])
  assert.deepStrictEqual(kinds(first), ['writeStatus'])
  const [write] = first.actions
  assert.ok(write?.kind === 'writeStatus')
  assert.deepStrictEqual(write.conditions.filter((c) => c.status === 'True').map((c) => `${c.type} ${c.reason} ${c.message}`), ['NamespaceDeletionDiscoveryFailure DiscoveryFailed Discovery failed for some groups, 1 failing: metrics/v1: down'])
  assert.deepStrictEqual([first.wakeAtMs, decide([], { attempts: 3 }, ['x']).wakeAtMs, decide([], { attempts: 50 }, ['x']).wakeAtMs], [NOW + 250, NOW + 2_000, NOW + 15_000])
})

test('conditions that say the same are not written again; living and finalized namespaces are left alone', () => {
  const [write] = decide([left(CONFIG_MAPS, 1, { undeleted: 0, finalizers: { 'a/b': 1 } })]).actions
  assert.ok(write?.kind === 'writeStatus')
  const told = { ...namespace(), status: { phase: 'Terminating', conditions: write.conditions } }
  assert.deepStrictEqual(decide([left(CONFIG_MAPS, 1, { undeleted: 0, finalizers: { 'a/b': 1 } })], { namespace: told }).actions, [])
  assert.deepStrictEqual(decide([left(CONFIG_MAPS, 1)], { namespace: namespace(['other']) }).actions, [])
  assert.deepStrictEqual(decide([], { content: undefined }).actions, [])
})
