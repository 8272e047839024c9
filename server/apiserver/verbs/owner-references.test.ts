import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ObjectMeta } from '#api/types/index.ts'
import { dropRepeatedOwners } from './owner-references.ts'

const owner = (uid: string, more: object = {}) => ({ apiVersion: 'v1', kind: 'Pod', name: 'p', uid, ...more })

test('owners that differ in anything stay, in their order; what is said again, in whatever order its fields are, is dropped', () => {
  const told: string[] = []
  const meta: ObjectMeta = { ownerReferences: [owner('u', { controller: true }), owner('u'), { uid: 'u', name: 'p', kind: 'Pod', apiVersion: 'v1' }, owner('v'), owner('u', { controller: true }), owner('u', { controller: false })] }
  dropRepeatedOwners({ warn: (text) => told.push(text) }, meta, true)
  assert.deepEqual(meta.ownerReferences, [owner('u', { controller: true }), owner('u'), owner('v'), owner('u', { controller: false })])
  assert.equal(told.length, 1)
  assert.match(told[0] ?? '', /after mutating admission happens; .* observed: u, u$/)
})

test('a great many of one uid, as a body of 3 MiB holds, are each looked at once: comparing all with all took minutes', () => {
  const meta: ObjectMeta = { ownerReferences: Array.from({ length: 60_000 }, (_, i) => owner('u', { name: String(i) })) }
  dropRepeatedOwners({ warn: () => assert.fail('none is repeated') }, meta, false)
  assert.equal(meta.ownerReferences?.length, 60_000)
})
