import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PODS } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { decideGarbage, type GarbageView, type OwnerState } from './decide.ts'
import { createGraph, FOREGROUND, ORPHAN, type GraphNode } from './graph.ts'

const owner = (uid: string, blockOwnerDeletion = false) => ({ apiVersion: 'v1', kind: 'Pod', name: uid, uid, ...(blockOwnerDeletion && { blockOwnerDeletion }) })
const node = (uid: string, over: Partial<GraphNode> = {}): GraphNode => ({ ref: PODS, uid, name: uid, namespace: 'd', resourceVersion: '1', owners: [], finalizers: [], deleting: false, ...over })
const view = (item: GraphNode, states: OwnerState[] = [], dependents: GraphNode[] = [], complete = true): GarbageView =>
  ({ item, dependents, complete, owners: item.owners.map((reference, i) => ({ reference, state: states[i] ?? 'present' })) })
const decide = (v: GarbageView) => decideGarbage(v, { nowMs: 1_000, random: seededRandom(1) }).actions

const child = node('child', { owners: [owner('a'), owner('b')] })

test('what has an owner stays; owners that are gone, or only wait for it, are taken from its list', () => {
  assert.deepStrictEqual(decide(view(node('free'))), [])
  assert.deepStrictEqual(decide(view(child, ['present', 'unknown'])), [])
  assert.deepStrictEqual(decide(view(child, ['present', 'absent'])), [{ kind: 'setOwners', node: child, owners: [owner('a')] }])
  assert.deepStrictEqual(decide(view(child, ['foreground', 'present'])), [{ kind: 'setOwners', node: child, owners: [owner('b')] }])
})

test('what has lost all its owners is deleted in the way its own finalizers ask for', () => {
  for (const [finalizers, policy] of [[[], 'Background'], [[ORPHAN], 'Orphan'], [[FOREGROUND], 'Foreground']] as const) {
    const item = { ...child, finalizers }
    assert.deepStrictEqual(decide(view(item, ['absent', 'absent'])), [{ kind: 'deleteObject', node: item, policy }])
  }
})

test('a dependent of a waiting owner passes the waiting on to its own dependents; a circle is broken', () => {
  const grandchild = node('grandchild', { owners: [owner('child', true)] })
  assert.deepStrictEqual(decide(view(child, ['foreground', 'absent'], [grandchild])), [{ kind: 'deleteObject', node: child, policy: 'Foreground' }])
  assert.deepStrictEqual(decide(view(child, ['foreground', 'absent'], [])), [{ kind: 'deleteObject', node: child, policy: 'Background' }])
  const circle = node('x', { owners: [owner('y', true)] })
  const waiting = node('y', { owners: [owner('x', true)], deleting: true, finalizers: [FOREGROUND] })
  assert.deepStrictEqual(decide(view(circle, ['foreground'], [waiting])), [{ kind: 'setOwners', node: circle, owners: [{ ...owner('y'), blockOwnerDeletion: false }] }])
})

test('foreground deletion ends when nothing blocks it, and not before all kinds are known', () => {
  const item = node('o', { deleting: true, finalizers: [FOREGROUND, 'other'] })
  assert.deepStrictEqual(decide(view(item, [], [node('d', { owners: [owner('o', true)] })])), [])
  assert.deepStrictEqual(decide(view(item, [], [node('d', { owners: [owner('o')] })])), [{ kind: 'removeFinalizer', node: item, finalizer: FOREGROUND }])
  assert.deepStrictEqual(decideGarbage(view(item, [], [], false), { nowMs: 1_000, random: seededRandom(1) }), { actions: [], because: 'not all kinds have been listed yet', wakeAtMs: 2_000 })
})

test('orphaning lets the dependents go first', () => {
  const item = node('o', { deleting: true, finalizers: [ORPHAN] })
  const d = node('d', { owners: [owner('o'), owner('p')] })
  assert.deepStrictEqual(decide(view(item, [], [d])), [{ kind: 'setOwners', node: d, owners: [owner('p')] }, { kind: 'removeFinalizer', node: item, finalizer: ORPHAN }])
})

test('the graph follows changes of owners', () => {
  const graph = createGraph()
  graph.put(node('d', { owners: [owner('a')] }))
  assert.deepStrictEqual(graph.dependentsOf('a').map((n) => n.uid), ['d'])
  graph.put(node('d', { owners: [owner('b')] }))
  assert.deepStrictEqual([graph.dependentsOf('a'), graph.dependentsOf('b').map((n) => n.uid)], [[], ['d']])
  graph.remove('d')
  assert.deepStrictEqual([graph.dependentsOf('b'), graph.get('d')], [[], undefined])
})
