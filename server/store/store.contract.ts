/** The suite every store must pass. Hand it a factory; a store that survives a restart also hands over `reopen`. */
import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import fc from 'fast-check'
import { hasCode } from '#base/errors.ts'
import type { KeyValue, Op, Revision, Store, WatchEvent } from './store.ts'

export interface StoreHarness {
  open(): Promise<Store>
  /** Closes nothing: opens what an earlier `open` left. Undefined: the store does not outlive its process. */
  reopen?(): Promise<Store>
  cleanUp(): Promise<void>
  /** Revisions are another system's to give: transactions under way at once may happen in any order, and what is restored gets new ones. */
  revisionsAreForeign?: boolean
}

const put = (key: string, value: string): Op => ({ kind: 'put', key, value: Buffer.from(value) })
const del = (key: string): Op => ({ kind: 'delete', key })
const text = (items: readonly KeyValue[]) => items.map((i) => [i.key, i.value.toString(), i.createRevision, i.modRevision, i.version])
const write = (store: Store, ...ops: Op[]) => store.txn({ compare: [], ops })
const said = (events: readonly WatchEvent[]) => events.map((e) => `${e.revision} ${e.kind} ${e.key} ${e.previous?.value.toString() ?? '-'}>${e.current?.value.toString() ?? '-'}`)

export function storeContract(name: string, newHarness: () => StoreHarness): void {
  describe(`store contract: ${name}`, () => {
    let harness = newHarness()
    const open = async () => { harness = newHarness(); return harness.open() }
    afterEach(() => harness.cleanUp())

    it('gives the first write of an empty store revision 2 and counts on from there', async () => {
      const store = await open()
      assert.equal(store.revision(), 1)
      assert.deepEqual(await write(store, put('/a', '1')), { ok: true, revision: 2 })
      assert.deepEqual(await write(store, put('/a', '2'), put('/b', '1')), { ok: true, revision: 3 })
      assert.deepEqual(text((await store.list({ prefix: '/' })).items), [['/a', '2', 2, 3, 2], ['/b', '1', 3, 3, 1]])
    })

    it('changes nothing and says what is there when a compare does not hold', async () => {
      const store = await open()
      await write(store, put('/a', '1'))
      const lost = await store.txn({ compare: [{ key: '/a', modRevision: 0 }], ops: [put('/a', '2')] })
      assert.equal(lost.ok, false)
      assert.equal(!lost.ok && lost.current?.value.toString(), '1')
      assert.deepEqual(await store.txn({ compare: [{ key: '/a', modRevision: 2 }], ops: [del('/a')] }), { ok: true, revision: 3 })
      const gone = await store.txn({ compare: [{ key: '/a', modRevision: 2 }], ops: [put('/a', '3')] })
      assert.deepEqual(gone, { ok: false, why: 'conflict', key: '/a', current: undefined, revision: 3 })
    })

    it('lets exactly one of many concurrent creates of a key win', async () => {
      const store = await open()
      const results = await Promise.all(Array.from({ length: 20 }, (_, i) => store.txn({ compare: [{ key: '/x', modRevision: 0 }], ops: [put('/x', `${i}`)] })))
      assert.equal(results.filter((r) => r.ok).length, 1)
      assert.equal(store.revision(), 2)
      assert.equal((await store.get('/x'))?.value.toString(), `${results.findIndex((r) => r.ok)}`)
    })

    it('does not spend a revision on deleting what is not there', async () => {
      const store = await open()
      assert.deepEqual(await write(store, del('/none')), { ok: true, revision: 1 })
    })

    it('starts a recreated key at version 1 with a new create revision', async () => {
      const store = await open()
      await write(store, put('/a', '1'))
      await write(store, del('/a'))
      assert.equal(await store.get('/a'), undefined)
      await write(store, put('/a', '2'))
      assert.deepEqual(text((await store.list({ prefix: '/a' })).items), [['/a', '2', 4, 4, 1]])
    })

    it('pages through one revision while later writes go on', async () => {
      const store = await open()
      for (const k of ['a', 'b', 'c', 'd', 'e']) await write(store, put(`/p/${k}`, k))
      await write(store, put('/q/z', 'other'))
      const first = await store.list({ prefix: '/p/', limit: 2 })
      assert.deepEqual([first.items.map((i) => i.key), first.more, first.remaining, first.revision], [['/p/a', '/p/b'], true, 3, 7])
      await write(store, del('/p/c'))
      await write(store, put('/p/d', 'changed'), put('/p/bb', 'new'))
      const rest = await store.list({ prefix: '/p/', after: '/p/b', limit: 5, revision: first.revision })
      assert.deepEqual([rest.items.map((i) => `${i.key}=${i.value.toString()}`), rest.more], [['/p/c=c', '/p/d=d', '/p/e=e'], false])
      assert.equal((await store.get('/p/c', 7))?.value.toString(), 'c')
      assert.equal((await store.list({ prefix: '/p/', countOnly: true })).remaining, 5)
    })

    it('refuses revisions that are compacted or not there yet', async () => {
      const store = await open()
      for (let i = 0; i < 5; i++) await write(store, put('/a', `${i}`))
      await store.compact(4)
      assert.equal(store.compactRevision(), 4)
      assert.equal((await store.get('/a', 4))?.value.toString(), '2')
      await assert.rejects(store.get('/a', 3), (e) => hasCode(e, 'STORE_COMPACTED'))
      await assert.rejects(store.list({ prefix: '/', revision: 99 }), (e) => hasCode(e, 'STORE_FUTURE_REVISION'))
      assert.throws(() => store.watch({ prefix: '/', afterRevision: 3 }, () => {}), (e) => hasCode(e, 'STORE_COMPACTED'))
    })

    it('delivers history and then live changes of a prefix, once each and in order, and nothing after close', async () => {
      const store = await open()
      await write(store, put('/w/a', '1'))
      await write(store, put('/w/a', '2'), put('/v/a', 'x'))
      const seen: string[] = []
      const watch = store.watch({ prefix: '/w/', afterRevision: 1 }, (events) => seen.push(...said(events)))
      assert.deepEqual(seen, ['2 put /w/a ->1', '3 put /w/a 1>2'])
      await write(store, put('/v/b', 'x'))
      await write(store, del('/w/a'), put('/w/b', '1'))
      assert.deepEqual(seen.slice(2), ['5 delete /w/a 2>-', '5 put /w/b ->1'])
      watch.close()
      watch.close()
      await write(store, put('/w/c', '1'))
      assert.equal(seen.length, 4)
    })

    it('tells history in parts, each whole transactions, and up to where it is all there is', async () => {
      const store = await open()
      await write(store, put('/w/a', '1'))
      await write(store, put('/w/a', '2'), put('/w/b', '1'))
      await write(store, put('/v/a', 'x'))
      await write(store, del('/w/a'))
      await write(store, put('/v/a', 'y'))
      const part = (afterRevision: Revision, bytesMax: number) => {
        const { events, through } = store.changes({ prefix: '/w/', afterRevision, bytesMax })
        return [said(events), through]
      }
      assert.deepEqual(part(1, 1), [['2 put /w/a ->1'], 2])
      assert.deepEqual(part(2, 1), [['3 put /w/a 1>2', '3 put /w/b ->1'], 3])
      assert.deepEqual(part(3, 1e6), [['5 delete /w/a 2>-'], 6])
      assert.deepEqual(part(6, 1), [[], 6])
      await store.compact(3)
      assert.throws(() => part(2, 1), (e) => hasCode(e, 'STORE_COMPACTED'))
    })

    it('shows lazy writes to readers and watchers at once', async () => {
      const store = await open()
      const seen: string[] = []
      store.watch({ prefix: '/l/', afterRevision: 1 }, (events) => seen.push(...said(events)))
      assert.deepEqual(await store.txn({ compare: [], ops: [put('/l/a', '1')], durability: 'lazy' }), { ok: true, revision: 2 })
      assert.equal((await store.get('/l/a'))?.value.toString(), '1')
      await write(store, put('/l/b', '2'))
      await store.txn({ compare: [{ key: '/l/a', modRevision: 2 }], ops: [put('/l/a', '3')], durability: 'lazy' })
      assert.deepEqual(text((await store.list({ prefix: '/l/' })).items), [['/l/a', '3', 2, 4, 2], ['/l/b', '2', 3, 3, 1]])
      assert.deepEqual(seen, ['2 put /l/a ->1', '3 put /l/b ->2', '4 put /l/a 1>3'])
    })

    it('shows heartbeats to readers and watchers at once, in order with all else', async () => {
      const store = await open()
      const seen: string[] = []
      store.watch({ prefix: '/h/', afterRevision: 1 }, (events) => seen.push(...said(events)))
      await write(store, put('/h/a', '1'))
      for (const value of ['2', '3']) assert.equal((await store.txn({ compare: [], ops: [put('/h/a', value)], durability: 'heartbeat' })).ok, true)
      await store.txn({ compare: [], ops: [put('/h/b', '1')], durability: 'lazy' })
      await write(store, put('/h/c', '1'))
      assert.deepEqual(text((await store.list({ prefix: '/h/' })).items), [['/h/a', '3', 2, 4, 3], ['/h/b', '1', 5, 5, 1], ['/h/c', '1', 6, 6, 1]])
      assert.deepEqual(seen, ['2 put /h/a ->1', '3 put /h/a 1>2', '4 put /h/a 2>3', '5 put /h/b ->1', '6 put /h/c ->1'])
    })

    it('restores a snapshot into an empty store, and only there', async () => {
      const source = await open()
      await write(source, put('/a', '1'), put('/b', 'é\u0000'))
      await write(source, put('/a', '2'))
      const chunks: Buffer[] = []
      for await (const chunk of source.snapshot()) chunks.push(chunk)
      await source.close()
      await harness.cleanUp()
      const target = await open()
      await target.restore(stream(chunks))
      assert.deepEqual(text((await target.list({ prefix: '' })).items), harness.revisionsAreForeign ? [['/a', '2', 2, 2, 1], ['/b', 'é\u0000', 2, 2, 1]] : [['/a', '2', 2, 3, 2], ['/b', 'é\u0000', 2, 2, 1]])
      if (!harness.revisionsAreForeign) assert.ok(target.revision() >= 3)
      await assert.rejects(target.restore(stream(chunks)), (e) => hasCode(e, 'STORE_NOT_EMPTY'))
    })

    it('refuses a damaged snapshot', async () => {
      const store = await open()
      await write(store, put('/a', 'x'.repeat(100)))
      const chunks: Buffer[] = []
      for await (const chunk of store.snapshot()) chunks.push(Buffer.from(chunk))
      await store.close()
      await harness.cleanUp()
      const bytes = Buffer.concat(chunks)
      bytes.writeUInt8(bytes.readUInt8(60) ^ 1, 60)
      await assert.rejects((await open()).restore(stream([bytes])), (e) => hasCode(e, 'STORE_CORRUPT'))
    })

    it('rejects everything once closed', async () => {
      const store = await open()
      await store.close()
      await store.close()
      await assert.rejects(async () => store.get('/a'), (e) => hasCode(e, 'STORE_CLOSED'))
      await assert.rejects(async () => write(store, put('/a', '1')), (e) => hasCode(e, 'STORE_CLOSED'))
    })

    it('answers any sequence of transactions and reads like a plain map of revisions', async () => {
      const key = fc.constantFrom('/a', '/a/b', '/b', '/c')
      const op = fc.oneof(fc.record({ kind: fc.constant('put' as const), key, value: fc.string({ maxLength: 3 }).map((s) => Buffer.from(s)) }), fc.record({ kind: fc.constant('delete' as const), key }))
      const txn = fc.record({ ops: fc.uniqueArray(op, { minLength: 1, maxLength: 3, selector: (o) => o.key }), lazy: fc.boolean(), together: fc.boolean() })
      await fc.assert(fc.asyncProperty(fc.array(txn, { maxLength: 25 }), async (txns) => {
        const store = await open()
        const states: Map<string, string>[] = [new Map(), new Map()]
        const events: [Revision, string][] = []
        store.watch({ prefix: '/', afterRevision: 1 }, (es) => events.push(...es.map((e): [Revision, string] => [e.revision, e.key])))
        let flying: Promise<unknown>[] = []
        const expected: [Revision, string][] = []
        for (const t of txns) {
          const next = new Map(states.at(-1))
          const changed = t.ops.filter((o) => (o.kind === 'put' ? (next.set(o.key, o.value.toString()), true) : next.delete(o.key)))
          if (changed.length > 0) states.push(next)
          expected.push(...changed.map((o): [Revision, string] => [states.length - 1, o.key]))
          flying.push(store.txn({ compare: [], ops: t.ops, durability: t.lazy ? 'lazy' : 'synced' }))
          if (!t.together || harness.revisionsAreForeign) { await Promise.all(flying); flying = [] }
        }
        await Promise.all(flying)
        assert.deepEqual(events, expected)
        for (let r = 1; r < states.length; r++) {
          const listed = await store.list({ prefix: '/', revision: r })
          assert.deepEqual(listed.items.map((i) => [i.key, i.value.toString()]), [...(states[r] ?? [])].sort((a, b) => (a[0] < b[0] ? -1 : 1)))
        }
        if (harness.reopen) {
          await store.close()
          const again = await harness.reopen()
          assert.equal(again.revision(), states.length - 1)
          assert.deepEqual((await again.list({ prefix: '/' })).items.map((i) => [i.key, i.value.toString()]), [...(states.at(-1) ?? [])].sort((a, b) => (a[0] < b[0] ? -1 : 1)))
          await again.close()
        }
        await store.close()
        await harness.cleanUp()
      }), { numRuns: 40 })
    })
  })
}

async function* stream(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks
}
