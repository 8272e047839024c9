import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RecentReads } from './recent-reads.ts'
import type { KeyValue } from './store.ts'

const item = (key: string, bytes = 1): KeyValue => ({ key, value: Buffer.alloc(bytes), createRevision: 2, modRevision: 2, version: 1 })
const isKnown = (reads: RecentReads, keys: readonly string[]): boolean[] => keys.map((k) => reads.get(k).known)

test('absence is remembered, and told from not knowing', () => {
  const reads = new RecentReads()
  const a = item('a')
  reads.set('a', a)
  reads.set('b', undefined)
  assert.deepEqual([reads.get('a'), reads.get('b'), reads.get('c')], [{ known: true, item: a }, { known: true, item: undefined }, { known: false, item: undefined }])
})

test('the longest unused goes first, by count and by bytes', () => {
  const reads = new RecentReads()
  for (let i = 0; i < 512; i++) reads.set(`k${i}`, item(`k${i}`))
  reads.get('k0')
  reads.set('one more', undefined)
  assert.deepEqual(isKnown(reads, ['k0', 'k1', 'k2', 'one more']), [true, false, true, true])
  for (let i = 0; i < 20; i++) reads.set(`big${i}`, item(`big${i}`, 60_000))
  assert.deepEqual(isKnown(reads, ['k0', 'big0', 'big19']), [false, false, true])
})

test('a very large value is not kept, nor what stood there before it', () => {
  const reads = new RecentReads()
  reads.set('a', item('a'))
  reads.set('a', item('a', 100_000))
  assert.deepEqual(isKnown(reads, ['a']), [false])
})
