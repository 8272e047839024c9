import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import type { KeyValue, WatchEvent } from '#server/store/store.ts'
import { openAlone } from './alone.test-support.ts'

/** More than what the store remembers of its last reads and writes, and than what waits to be written to the database. */
const MANY = 3_000

it('keeps a value that is replaced once, however much was written in between', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'skiff-shared-'))
  const store = await openAlone(join(dir, 'db'))
  try {
    const write = (i: number, value: string) => store.txn({ compare: [], ops: [{ kind: 'put', key: `/r/${i}`, value: Buffer.from(`${value} ${i}`) }] })
    const remove = (i: number) => store.txn({ compare: [], ops: [{ kind: 'delete', key: `/r/${i}` }] })
    const created = new Map<string, KeyValue | undefined>()
    const later: WatchEvent[] = []
    const watch = store.watch({ prefix: '/r/', afterRevision: store.revision() }, (events) => {
      for (const event of events) if (event.previous) later.push(event); else created.set(event.key, event.current)
    })
    const all = Array.from({ length: MANY }, (_, i) => i)
    await Promise.all(all.map((i) => write(i, 'new')))
    assert.equal((await store.get('/r/0'))?.value, created.get('/r/0')?.value)
    await Promise.all(all.map((i) => (i % 2 === 0 ? write(i, 'newer') : remove(i))))
    watch.close()
    assert.equal(later.length, MANY)
    assert.deepEqual(later.filter(({ key, previous }) => previous?.value !== created.get(key)?.value).map(({ key }) => key), [])
    assert.deepEqual([(await store.get('/r/0'))?.value.toString(), await store.get('/r/1')], ['newer 0', undefined])
    // What history has forgotten is read from the database again.
    await store.compact(store.revision())
    assert.deepEqual([(await store.get('/r/0'))?.value.toString(), await store.get('/r/1')], ['newer 0', undefined])
  } finally {
    await store.close()
    rmSync(dir, { recursive: true, force: true })
  }
})
