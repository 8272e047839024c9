/** A database made from a snapshot: a state that no log led to. The server that opens it begins a log after it. */
import { readSnapshot } from '#server/store/snapshot-format.ts'
import { META_FORMAT } from '#server/store/level-codec.ts'
import type { Revision, Store } from '#server/store/store.ts'
import type { BatchOp } from '../contract.ts'
import { CLEAN_KEY, encodePosition, encodeRevision, POSITION_KEY, STATE_FORMAT, stateOp, type Database } from './state-database.ts'

/** A state that no log led to counts as if one entry had: who joins then gets it as a snapshot, and never a log without it. */
const INDEX_WITHOUT_LOG = 1
const BATCH_BYTES = 1024 * 1024
const BATCH_OPS = 512

/** What ends the batch that makes what is in the database a state, of `revision`; none after it was given to anyone. */
export function newStateOps(revision: Revision): BatchOp[] {
  return [
    { type: 'put', key: POSITION_KEY, value: encodePosition({ index: INDEX_WITHOUT_LOG, revision, ceiling: revision, term: 0 }) },
    { type: 'put', key: CLEAN_KEY, value: encodeRevision(revision) },
    { type: 'put', key: META_FORMAT, value: encodeRevision(STATE_FORMAT) },
  ]
}

/** Into a database that is empty. It is a store only when `restore` has resolved: what a crash leaves before is to be thrown away. */
export async function openNewState(open: () => Promise<Database>): Promise<Pick<Store, 'restore' | 'close'>> {
  const db = await open()
  return {
    async restore(chunks) {
      let revision = 1
      let ops: BatchOp[] = []
      let bytes = 0
      for await (const part of readSnapshot(chunks)) {
        if ('revision' in part) {
          revision = Math.max(revision, part.revision)
          continue
        }
        ops.push(stateOp(part.item.key, part.item))
        bytes += part.item.value.length
        if (ops.length < BATCH_OPS && bytes < BATCH_BYTES) continue
        await db.batch(ops, {})
        ops = []
        bytes = 0
      }
      await db.batch([...ops, ...newStateOps(revision)], { sync: true })
    },
    close: () => db.close(),
  }
}
