import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { HISTORY_LIMITS } from '#server/store/history.ts'
import { levelOpener } from '#server/store/open-level.ts'
import type { Entry } from '../../raft/types.ts'
import { encodeGroup, type Change, type GroupHeader } from './entry.ts'
import { LazyStream } from './lazy-stream.ts'
import { openState } from './open-state.ts'
import { StoreMachine } from './store-machine.ts'

const put = (key: string, value: string, revision: number): Change => ({ key, revision, current: { key, value: Buffer.from(value), createRevision: revision, modRevision: revision, version: 1 } })

/** A follower: what is applied to it, and what its watch tells. */
async function follower(test: (f: { machine: StoreMachine; clock: FakeClock; apply: (header: Partial<GroupHeader>, changes: Change[], term?: number) => Promise<void>; seen: string[] }) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-machine-'))
  const db = await levelOpener(join(directory, 'db'))()
  const clock = new FakeClock()
  const machine = new StoreMachine({ db, clock, history: HISTORY_LIMITS }, await openState(db, join(directory, 'received')))
  const seen: string[] = []
  machine.state.watch({ prefix: '/', afterRevision: 1 }, (events, revision) => seen.push(`${revision}: ${events.map((e) => `${e.key} ${e.previous?.value.toString() ?? '-'}>${e.current?.value.toString() ?? '-'}`).join(', ')}`))
  let index = 0
  const apply = async (header: Partial<GroupHeader>, changes: Change[], term = 1) => {
    const data = encodeGroup({ kind: 'changes', term, after: machine.position.revision, revision: changes.at(-1)?.revision ?? machine.position.revision, ceiling: 1_000, ...header }, changes)
    const entry: Entry = { term, index: ++index, kind: 'normal', data }
    await machine.apply([entry])
  }
  try {
    await test({ machine, clock, apply, seen })
  } finally {
    await machine.close()
    await db.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

it('a group that was evaluated in another term, or on one that is not there, has no effect', () => follower(async ({ machine, apply, seen }) => {
  await apply({}, [put('/a', '1', 2)])
  // Forwarded to a new leader on its way.
  await apply({ term: 1 }, [put('/a', 'lost', 3)], 2)
  // The one before it was refused.
  await apply({ after: 7 }, [put('/a', 'lost', 8)])
  await apply({ after: 2 }, [put('/b', '1', 3)])
  // Of two that followed the same, the first counts.
  await apply({ after: 2 }, [put('/b', 'lost', 4)])
  assert.deepEqual([seen, machine.state.revision, machine.position.index], [['2: /a ->1', '3: /b ->1'], 3, 5])
}))

it('what was shown ahead of the log is told once when the log brings it, and taken back when a new leader does not know of it', () => follower(async ({ machine, apply, seen }) => {
  await apply({ kind: 'beginning', revision: 1 }, [])
  await apply({}, [put('/a', '1', 2), put('/b', '1', 2)])
  machine.showLazy([put('/a', '2', 3)], 3)
  machine.showLazy([put('/b', '2', 4)], 4)
  machine.showLazy([put('/c', '1', 5)], 5)
  // The new leader has heard of the first only; it may have been anything up to the ceiling that was shown elsewhere.
  await apply({ kind: 'beginning', revision: 1_000, ceiling: 2_000 }, [put('/a', '2', 3)], 2)
  await apply({}, [put('/a', '3', 1_001)], 2)
  assert.deepEqual(seen, ['2: /a ->1, /b ->1', '3: /a 1>2', '4: /b 1>2', '5: /c ->1', '1000: /b 2>1, /c 1>-', '1001: /a 2>3'])
  assert.deepEqual((await machine.state.list({ prefix: '/', revision: 5 })).items.map((i) => `${i.key}=${i.value.toString()}`), ['/a=2', '/b=2', '/c=1'])
}))

it('what came out of turn waits for what it follows; where that does not come, the leader is asked for it', () => follower(async ({ machine, clock, apply, seen }) => {
  const asked: string[] = []
  const stream = new LazyStream({ clock, machine, shown: () => {}, askFlush: () => asked.push(`flush ${clock.monotonicMs()}`), askAll: () => asked.push(`all ${clock.monotonicMs()}`) > 0 })
  await apply({ kind: 'beginning', revision: 1 }, [])
  // Its group is in the log, and not applied here yet.
  stream.hear({ kind: 'lazy', term: 1, before: 2, revision: 3, changes: [put('/l', '1', 3)] })
  assert.deepEqual(seen, [])
  await apply({}, [put('/a', '1', 2)])
  stream.applied()
  assert.deepEqual(seen, ['2: /a ->1', '3: /l ->1'])
  // Revision 4 got lost.
  stream.hear({ kind: 'lazy', term: 1, before: 4, revision: 5, changes: [put('/l', '3', 5)] })
  await clock.advance(450)
  assert.deepEqual(asked, ['all 200', 'flush 400'])
  await apply({ after: 2 }, [put('/m', '1', 4), put('/l', '3', 5)])
  stream.applied()
  await clock.advance(1_000)
  assert.deepEqual([seen.slice(2), asked.length], [['4: /m ->1', '5: /l 1>3'], 2])
  // Of a leader that is no more.
  await apply({ kind: 'beginning', revision: 1_000, ceiling: 2_000 }, [], 2)
  stream.hear({ kind: 'lazy', term: 1, before: 1_000, revision: 1_001, changes: [put('/l', 'old', 1_001)] })
  assert.equal(seen.length, 4)
  stream.close()
}))

it('what waits for a disk that stands still is bounded in bytes; what came first goes first, and the log brings it', () => follower(async ({ machine, clock, apply, seen }) => {
  const stream = new LazyStream({ clock, machine, shown: () => {}, askFlush: () => {}, askAll: () => true })
  await apply({ kind: 'beginning', revision: 1 }, [])
  const value = 'x'.repeat(1 << 20)
  const said = Array.from({ length: 12 }, (_, i) => ({ kind: 'lazy' as const, term: 1, before: i + 2, revision: i + 3, changes: [put('/l', value, i + 3)] }))
  for (const changes of said) stream.hear(changes)
  assert.equal(stream.earlyBytes, 7 * (value.length + 2))
  // The log comes as far as what is kept; the rest follows at once.
  await apply({}, [put('/l', value, 7)])
  stream.applied()
  assert.deepEqual([machine.state.revision, stream.earlyBytes, seen.length], [14, 0, 8])
  stream.close()
}))
