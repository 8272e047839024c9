/**
 * What the database holds when a server starts: finishes the installation of a snapshot that a crash cut off, takes over
 * what the format before wrote, refuses what a newer release wrote.
 */
import { CodedError } from '#base/errors.ts'
import { decodeLogEntry, LOG, META_CEILING, META_CLEAN, META_FORMAT } from '#server/store/level-codec.ts'
import type { Revision } from '#server/store/store.ts'
import type { BatchOp } from '../contract.ts'
import { resumeInstall } from './install.ts'
import { openReceivedSnapshots, type ReceivedSnapshots } from './received-snapshots.ts'
import { newStateOps } from './new-state.ts'
import { CLEAN_KEY, decodePosition, encodeRevision, POSITION_KEY, readBytes, readRevision, STATE_FORMAT, stateOp, upperBound, type Database, type Position } from './state-database.ts'

export interface OpenedState {
  position: Position
  /** See CLEAN_KEY. */
  clean: Revision | undefined
  received: ReceivedSnapshots
}

/** What a store begins with: as etcd, its first write gets revision 2. */
const EMPTY: Position = { index: 0, revision: 1, ceiling: 1, term: 0 }

export async function openState(db: Database, directory: string): Promise<OpenedState> {
  const format = readRevision(db, META_FORMAT)
  if (format !== undefined && format > STATE_FORMAT) {
    throw new CodedError('STORE_FORMAT', `the store was written by a newer skiff (format ${format}, this one reads up to ${STATE_FORMAT}): install that release again, or restore a snapshot`)
  }
  if (format === undefined) await db.batch([{ type: 'put', key: META_FORMAT, value: encodeRevision(STATE_FORMAT) }], { sync: true })
  else if (format === 1) await takeOver(db)
  // Format 2: its values are read as they are.
  else if (format < STATE_FORMAT) await db.batch([{ type: 'put', key: META_FORMAT, value: encodeRevision(STATE_FORMAT) }], { sync: true })
  const received = await openReceivedSnapshots(directory)
  await resumeInstall(db, received)
  const position = readBytes(db, POSITION_KEY)
  const { partial } = received
  // Of a database that was here before this one: of another cluster, maybe, whose snapshots have the same names.
  if (partial && (format === undefined || (position && decodePosition(position).term === 0))) await received.discard(partial.snapshot.id)
  return { position: position ? decodePosition(position) : EMPTY, clean: readRevision(db, CLEAN_KEY), received }
}

/** Format 1: what its log holds goes into the state, and the log away, in one synced batch: all or nothing. */
async function takeOver(db: Database): Promise<void> {
  const ops: BatchOp[] = []
  let newest = 1
  for await (const [key, entry] of db.iterator({ gte: LOG, lt: upperBound(LOG), valueEncoding: 'buffer' })) {
    for (const change of decodeLogEntry(key, entry)) {
      newest = Math.max(newest, change.revision)
      ops.push(stateOp(change.key, change.current))
    }
    ops.push({ type: 'del', key })
  }
  const stopped = readRevision(db, META_CLEAN)
  const revision = Math.max(newest, stopped ?? readRevision(db, META_CEILING) ?? 1)
  await db.batch([...ops, ...newStateOps(revision), { type: 'del', key: META_CLEAN }, { type: 'del', key: META_CEILING }], { sync: true })
}
