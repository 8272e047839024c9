import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import fc from 'fast-check'
import { FakeClock } from '#base/clock-fake.ts'
import { hasCode } from '#base/errors.ts'
import { HISTORY_LIMITS } from '#server/store/history.ts'
import { levelOpener } from '#server/store/open-level.ts'
import type { KeyValue, WatchEvent } from '#server/store/store.ts'
import { emptyConfiguration } from '../../raft/configuration.ts'
import type { Entry, LogBase, Snapshot } from '../../raft/types.ts'
import type { BatchOp } from '../contract.ts'
import { encodeGroup, type Change } from './entry.ts'
import { openState } from './open-state.ts'
import type { Database } from './state-database.ts'
import { StoreMachine } from './store-machine.ts'

const baseAt = (index: number): LogBase => ({ index, term: 1, configuration: emptyConfiguration })

class Folder {
  readonly path = mkdtempSync(join(tmpdir(), 'skiff-machine-'))
  readonly #open: Database[] = []

  async machine(name: string, wrap: (db: Database) => Database = (db) => db): Promise<{ machine: StoreMachine; db: Database }> {
    const db = await levelOpener(join(this.path, name, 'db'))()
    this.#open.push(db)
    const machine = new StoreMachine({ db: wrap(db), clock: new FakeClock(), history: HISTORY_LIMITS }, await openState(db, join(this.path, name, 'received')))
    return { machine, db }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const db of this.#open) await db.close()
    rmSync(this.path, { recursive: true, force: true })
  }
}

const change = (key: string, value: string | undefined, revision: number): Change => ({ key, revision, current: value === undefined ? undefined : { key, value: Buffer.from(value), createRevision: revision, modRevision: revision, version: 1 } })
/** One group per change, of term 1, from the machine's own state on. */
function entries(machine: StoreMachine, changes: readonly Change[]): Entry[] {
  let { index, revision: after } = machine.position
  return changes.map((c) => {
    const data = encodeGroup({ kind: 'changes', term: 1, after, revision: c.revision, ceiling: 10_000 }, [c])
    after = c.revision
    return { term: 1, index: ++index, kind: 'normal', data }
  })
}
const told = (items: readonly KeyValue[]) => items.map((i) => [i.key, i.value.toString(), i.createRevision, i.modRevision, i.version])
const stateOf = async (machine: StoreMachine) => told((await machine.state.list({ prefix: '' })).items)

async function bytesOf(machine: StoreMachine, pieceBytes = 100_000): Promise<{ snapshot: Snapshot; bytes: Buffer }> {
  const source = await machine.openSnapshot(baseAt)
  const pieces: Buffer[] = []
  for (let last = false, at = 0; !last;) {
    const piece = await source.read(at, pieceBytes)
    pieces.push(piece.data)
    at += piece.data.length
    last = piece.last
  }
  await source.close()
  return { snapshot: source.snapshot, bytes: Buffer.concat(pieces) }
}

it('a snapshot has the same bytes however it is read: any piece, any order, while writes go on, on every server', async () => {
  await using folder = new Folder()
  const { machine } = await folder.machine('a')
  const { machine: other } = await folder.machine('b')
  const changes = Array.from({ length: 300 }, (_, i) => change(`/k${i % 90}`, i % 7 === 0 ? undefined : `value ${i} `.repeat(i % 20), i + 2))
  for (const m of [machine, other]) await m.apply(entries(m, changes))
  const { snapshot, bytes } = await bytesOf(machine)
  assert.deepEqual(await bytesOf(other, 777), { snapshot, bytes })
  const source = await machine.openSnapshot(baseAt)
  await machine.apply(entries(machine, [change('/k1', 'later', 500)]))
  await fc.assert(fc.asyncProperty(fc.nat({ max: bytes.length + 10 }), fc.integer({ min: 1, max: 3_000 }), async (offset, max) => {
    const piece = await source.read(offset, max)
    assert.deepEqual([piece.data.toString('hex'), piece.last], [bytes.subarray(offset, offset + max).toString('hex'), offset + max >= bytes.length])
  }))
  await source.close()
})

it('what is received goes on after a restart where it stopped; damage is found and thrown away', async () => {
  await using folder = new Folder()
  const { machine } = await folder.machine('a')
  await machine.apply(entries(machine, Array.from({ length: 50 }, (_, i) => change(`/k${i}`, `v${i}`, i + 2))))
  const { snapshot, bytes } = await bytesOf(machine)
  const half = bytes.length >> 1
  const first = await folder.machine('b')
  await first.machine.receive(snapshot, 0, bytes.subarray(0, half), false)
  await first.machine.close()
  await first.db.close()
  const second = await folder.machine('b')
  assert.deepEqual(second.machine.partialSnapshot, { snapshot, offsetBytes: half, complete: false })
  await second.machine.receive(snapshot, half, bytes.subarray(half), true)
  assert.deepEqual(second.machine.partialSnapshot, { snapshot, offsetBytes: bytes.length, complete: true })
  await second.machine.install(snapshot, [])
  assert.deepEqual([await stateOf(second.machine), second.machine.applied, second.machine.state.revision], [await stateOf(machine), 50, 51])
  assert.equal(second.machine.partialSnapshot, undefined)

  const { machine: third } = await folder.machine('c')
  const broken = Buffer.from(bytes)
  broken.writeUInt8(broken.readUInt8(half) ^ 1, half)
  await assert.rejects(third.receive(snapshot, 0, broken, true), (e) => hasCode(e, 'SNAPSHOT_DAMAGED'))
  assert.equal(third.partialSnapshot, undefined)
  await third.receive(snapshot, 0, bytes, true)
  await third.install(snapshot, [])
  assert.deepEqual(await stateOf(third), await stateOf(machine))
})

/** Lets so many writes through; the next one, and all after it, never happen. */
function dyingAfter(db: Database, writes: number): Database {
  let left = writes
  return new Proxy(db, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (name === 'batch') return async (ops: BatchOp[], options: object) => {
        if (left-- <= 0) throw new Error('killed')
        await target.batch(ops, options)
      }
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

it('a snapshot is installed as a whole or not at all, wherever a crash cuts it off', async () => {
  await using folder = new Folder()
  const { machine: leader } = await folder.machine('leader')
  // Several batches' worth, half of it the same as what is there.
  const common = Array.from({ length: 1_500 }, (_, i) => change(`/k${String(i).padStart(4, '0')}`, `v${i}`, i + 2))
  await leader.apply(entries(leader, common))
  await leader.apply(entries(leader, Array.from({ length: 1_200 }, (_, i) => change(`/k${String(i).padStart(4, '0')}`, i % 3 === 0 ? undefined : `new ${i}`, 2_000 + i))))
  const { snapshot, bytes } = await bytesOf(leader)
  const after = await stateOf(leader)
  const logReset: BatchOp[] = [{ type: 'put', key: 'rb', value: Buffer.from('base') }, { type: 'del', key: 're1' }]
  const outcomes: string[] = []
  for (let writes = 0; outcomes.at(-1) !== 'installed'; writes++) {
    const name = `f${writes}`
    const { machine, db } = await folder.machine(name, (d) => dyingAfter(d, writes))
    await db.put('re1', Buffer.from('entry'))
    // Written before, by a life that had no trouble.
    const before = await folder.machine(`${name}-before`)
    await before.machine.apply(entries(before.machine, [...common, change('/only-here', 'x', 1_700)]))
    await before.machine.close()
    await db.batch(await before.db.iterator().all().then((rows) => rows.map(([key, value]): BatchOp => ({ type: 'put', key, value: value as unknown as Buffer }))))
    await machine.receive(snapshot, 0, bytes, true)
    const died = await machine.install(snapshot, logReset).then(() => false, () => true)
    await db.close()
    const { machine: again, db: opened } = await folder.machine(name)
    const hasEntry = (await opened.get('re1')) !== undefined
    const installed = again.applied === snapshot.index
    assert.deepEqual([told(await items(again)), hasEntry, (await opened.get('minstall')) === undefined], installed ? [after, false, true] : [await stateOf(before.machine), true, true])
    outcomes.push(!died ? 'installed' : installed ? 'redone' : 'as before')
    await opened.close()
  }
  assert.deepEqual(outcomes, ['as before', ...Array.from({ length: outcomes.length - 2 }, () => 'redone'), 'installed'])
  assert.ok(outcomes.length > 4, outcomes.join(' '))
})

const items = async (machine: StoreMachine) => (await machine.state.list({ prefix: '' })).items

it('watches of a server that takes over a whole state hear the difference, in order and never of what they have passed', async () => {
  await using folder = new Folder()
  const { machine: leader } = await folder.machine('leader')
  await leader.apply(entries(leader, [change('/a', '1', 2), change('/b', '1', 3), change('/c', '1', 4)]))
  const { machine } = await folder.machine('follower')
  await machine.apply(entries(machine, [change('/a', '1', 2), change('/b', '1', 3), change('/c', '1', 4)]))
  const seen: WatchEvent[][] = []
  let gapAfter: number | undefined
  machine.state.watch({ prefix: '/', afterRevision: 4, onGap: () => { gapAfter = seen.length } }, (events) => seen.push([...events]))
  // Shown by a leader that is no more: not in the log of the next one.
  machine.showLazy([change('/b', 'lazy', 5)], 5)
  machine.showLazy([change('/z', 'lazy', 6)], 6)
  await leader.apply(entries(leader, [change('/a', '2', 10), change('/a', '3', 11), change('/c', undefined, 12), change('/d', '1', 13)]))
  const { snapshot, bytes } = await bytesOf(leader)
  await machine.receive(snapshot, 0, bytes, true)
  await machine.install(snapshot, [])
  const said = seen.map((events) => events.map((e) => `${e.revision} ${e.kind} ${e.key} ${e.previous?.value.toString() ?? '-'}>${e.current?.value.toString() ?? '-'}`))
  assert.deepEqual(said, [['5 put /b 1>lazy'], ['6 put /z ->lazy'], ['11 put /a 1>3'], ['13 put /b lazy>1', '13 delete /c 1>-', '13 put /d ->1', '13 delete /z lazy>-']])
  assert.deepEqual([machine.state.revision, machine.state.compactRevision, gapAfter], [13, 13, 2])
})

it('what was received for a database that is no longer there is thrown away', async () => {
  await using folder = new Folder()
  const { machine } = await folder.machine('a')
  await machine.apply(entries(machine, [change('/a', '1', 2)]))
  const { snapshot, bytes } = await bytesOf(machine)
  const first = await folder.machine('b')
  await first.machine.receive(snapshot, 0, bytes, true)
  await first.machine.close()
  await first.db.close()
  rmSync(join(folder.path, 'b', 'db'), { recursive: true })
  const second = await folder.machine('b')
  assert.equal(second.machine.partialSnapshot, undefined)
})

it('a state that cannot be written ends its server, and what the log brings again is all there after the next start', async () => {
  await using folder = new Folder()
  const { machine, db } = await folder.machine('a', (d) => dyingAfter(d, 0))
  const changes = Array.from({ length: 1_100 }, (_, i) => change(`/k${i}`, 'x', i + 2))
  const log = entries(machine, changes)
  await machine.apply(log)
  await assert.rejects(machine.failed, (e) => hasCode(e, 'STORE_WRITE_FAILED'))
  assert.deepEqual([machine.applied, (await stateOf(machine)).length], [0, 1_100])
  await machine.close()
  await db.close()
  const { machine: again } = await folder.machine('a')
  await again.apply(log)
  assert.deepEqual(await stateOf(again), await stateOf((await replay(folder, changes))))
})

async function replay(folder: Folder, changes: readonly Change[]): Promise<StoreMachine> {
  const { machine } = await folder.machine('replay')
  await machine.apply(entries(machine, changes))
  return machine
}
