import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { History } from './history.ts'
import type { KeyValue, WatchEvent } from './store.ts'

const item = (key: string, revision: number, bytes: number): KeyValue => ({ key, value: Buffer.alloc(bytes), createRevision: 1, modRevision: revision, version: 1 })
const change = (key: string, revision: number, bytes: number, before?: number): WatchEvent => ({ kind: 'put', key, revision, current: item(key, revision, bytes), previous: before === undefined ? undefined : item(key, before, bytes) })
/** As a cluster of a hundred objects has it: each changed again and again. */
const KEYS = 100
const keyOf = (revision: number): string => `/registry/core/configmaps/default/object-${revision % KEYS}`

describe('history as servers keep it', () => {
  it('reaches back 10,000 changes of objects of half a kilobyte, and 20,000 creations', () => {
    const changes = new History(0)
    for (let r = 1; r <= 30_000; r++) changes.append([change(keyOf(r), r, 500, r - KEYS)])
    assert.ok(30_000 - changes.compactRevision >= 10_000, String(30_000 - changes.compactRevision))
    const creations = new History(0)
    for (let r = 1; r <= 30_000; r++) creations.append([change(`/registry/pods/default/pod-${r}`, r, 5_000)])
    assert.equal(creations.compactRevision, 10_000)
    assert.equal([...creations.since('/registry/pods/', 10_000)].length, 20_000)
  })

  it('reaches back ten minutes at nine changes a second of 1.2 kB', () => {
    const history = new History(0)
    for (let r = 1; r <= 10_000; r++) history.append([change(keyOf(r), r, 1_200, r - KEYS)])
    const reach = 10_000 - history.compactRevision
    assert.ok(reach >= 10 * 60 * 9, `${reach} changes`)
  })

  it('never cuts a transaction in two: what is asked for before the cut is refused, after it all is there', () => {
    const history = new History(0, { eventsMax: 10, bytesMax: 1e9 })
    for (let r = 1; r <= 20; r++) history.append([change('/a', r, 1), change('/b', r, 1), change('/c', r, 1)])
    const { compactRevision } = history
    assert.equal(compactRevision, 17)
    assert.throws(() => history.since('/', compactRevision - 1).next(), { code: 'STORE_COMPACTED', details: { compactRevision } })
    assert.deepEqual([...history.since('/', compactRevision)].map((g) => [g.revision, g.events.length]), [[18, 3], [19, 3], [20, 3]])
  })
})
