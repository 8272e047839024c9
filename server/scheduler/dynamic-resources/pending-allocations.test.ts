import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AllocationResult } from '#api/types/index.ts'
import type { Claim } from './device-lookup.ts'
import { PendingAllocations } from './pending-allocations.ts'

const GIVEN: AllocationResult = { devices: { results: [{ request: 'r', driver: 'd', pool: 'p', device: 'red' }] } }
const claim = (uid: string, resourceVersion: number, allocation?: AllocationResult): Claim => ({ metadata: { name: uid, namespace: 'default', uid, resourceVersion: String(resourceVersion), creationTimestamp: '2026-01-01T00:00:00Z' }, spec: {}, ...(allocation && { status: { allocation } }) })

function promised(...uids: string[]): { pending: PendingAllocations; open: () => string[] } {
  const pending = new PendingAllocations()
  for (const uid of uids) pending.promise(uid, GIVEN)
  return { pending, open: () => [...pending.all.keys()] }
}

describe('devices that are promised', () => {
  it('stay so when they are written before the claim itself is heard of, until it is seen to have them', () => {
    const { pending, open } = promised('a')
    pending.wrote(claim('a', 7, GIVEN), undefined)
    assert.deepEqual(open(), ['a'])
    pending.saw('a', claim('a', 6))
    assert.deepEqual(open(), ['a'])
    pending.saw('a', claim('a', 7, GIVEN))
    assert.deepEqual(open(), [])
  })

  it('are free again when a list that is no older than the write has no such claim: its end was never told', () => {
    const { pending, open } = promised('a', 'b', 'c')
    pending.wrote(claim('a', 7, GIVEN), undefined)
    pending.wrote(claim('b', 9, GIVEN), undefined)
    assert.equal(pending.listed(6n, new Set()), false)
    assert.deepEqual(open(), ['a', 'b', 'c'])
    assert.equal(pending.listed(8n, new Set()), true)
    assert.deepEqual(open(), ['b', 'c'])
    assert.equal(pending.listed(9n, new Set(['b'])), false)
    // Of what was not written yet no list can tell.
    assert.deepEqual(open(), ['b', 'c'])
  })

  it('are free at once when the claim is known to say so, or to have changed since; not by what is known of another of that name', () => {
    const { pending, open } = promised('a', 'b', 'c')
    pending.wrote(claim('a', 7, GIVEN), claim('a', 7, GIVEN))
    pending.wrote(claim('b', 7, GIVEN), claim('b', 8))
    pending.wrote(claim('c', 7, GIVEN), claim('other', 8))
    assert.deepEqual(open(), ['c'])
  })
})
