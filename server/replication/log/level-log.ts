/**
 * The replicated log in LevelDB, beside the state that it leads to. A write is one atomic batch with one sync, which
 * names where the log ends then: what LevelDB lost of a batch that power was cut in, it lost whole, and all that is found
 * up to that end must be there and be right. Anything else is damage, and is refused, never guessed over.
 */
import type { ClassicLevel } from 'classic-level'
import { asError, CodedError } from '#base/errors.ts'
import { LogSummary } from '../../raft/log-summary.ts'
import { NOBODY } from '../../raft/types.ts'
import type { Configuration, Entry, HardState, LogBase, LogIndex, Persist } from '../../raft/types.ts'
import type { BatchOp, LogStorage } from '../contract.ts'
import { BASE_KEY, damaged, decodeBase, decodeEntry, decodeHardState, decodeTail, encodeBase, encodeEntry, encodeHardState, encodeTail, ENTRY_END, ENTRY_PREFIX, entryKey, HARD_STATE_KEY, indexOfKey, LOG_PREFIX, TAIL_KEY } from './log-codec.ts'
import { LogSizes } from './log-sizes.ts'
import { mergePersists } from './merge-persists.ts'

export type LogDatabase = ClassicLevel<string, Buffer>

export interface LevelLogOptions {
  /** Where there is no log yet it begins after index 0 with these members: itself, or nobody while it waits to be added. */
  readonly initial: Configuration
  /**
   * What the state machine holds (`applied`) where there is no log yet. Where it holds something the log begins after
   * that, so that who joins gets it as a snapshot and never a log that does not lead to it.
   */
  readonly stateAt?: LogIndex
  /** Throws CodedError `DISK_FULL` where a write would not leave enough room; asked before each, as LevelDB cannot go on after one that failed. See `disk-room.ts`. */
  readonly assertRoom?: AssertRoom
}

export type AssertRoom = (what: 'write' | 'new') => void

/** Whether a log was ever begun here. */
export function hasLevelLog(db: LogDatabase): boolean {
  return db.getSync(BASE_KEY, BUFFERS) !== undefined
}

/** Opens or begins the log. After the state machine: that may have to finish the installation of a snapshot first. */
export async function openLevelLog(db: LogDatabase, options: LevelLogOptions): Promise<LogStorage> {
  if (!hasLevelLog(db)) await begin(db, options)
  return new LevelLog(db, await recover(db), options.assertRoom ?? (() => {}))
}

const BUFFERS = { valueEncoding: 'buffer' } as const
const RECOVER_ROWS = 256

interface Found {
  readonly recovered: LogStorage['recovered']
  readonly sizes: LogSizes
}

class LevelLog implements LogStorage {
  readonly recovered: LogStorage['recovered']
  readonly #db: LogDatabase
  readonly #sizes: LogSizes
  readonly #assertRoom: AssertRoom
  #baseIndex: LogIndex
  #lastIndex: LogIndex

  constructor(db: LogDatabase, found: Found, assertRoom: AssertRoom) {
    this.#db = db
    this.recovered = found.recovered
    this.#sizes = found.sizes
    this.#assertRoom = assertRoom
    this.#baseIndex = found.recovered.base.index
    this.#lastIndex = found.recovered.lastIndex
  }

  get sizeBytes(): number {
    return this.#sizes.sizeBytes
  }

  indexKeeping(bytes: number, indexMax: LogIndex): LogIndex | undefined {
    return this.#sizes.indexKeeping(bytes, indexMax)
  }

  assertRoom(): void {
    this.#assertRoom('new')
  }

  entries(low: LogIndex, high: LogIndex, bytesMax: number): readonly Entry[] {
    const found: Entry[] = []
    let bytes = 0
    for (let index = low; index < high; index++) {
      const entry = this.#read(index)
      bytes += entry.data.length
      if (found.length > 0 && bytes > bytesMax) break
      found.push(entry)
    }
    return found
  }

  async write(persists: readonly Persist[]): Promise<void> {
    const { hardState, entries, truncateFrom, lastIndex } = mergePersists(persists, this.#lastIndex)
    const ops: BatchOp[] = []
    if (hardState) ops.push({ type: 'put', key: HARD_STATE_KEY, value: encodeHardState(hardState) })
    for (const entry of entries) ops.push({ type: 'put', key: entryKey(entry.index), value: encodeEntry(entry) })
    if (truncateFrom !== undefined) for (let i = lastIndex + 1; i <= this.#lastIndex; i++) ops.push({ type: 'del', key: entryKey(i) })
    if (ops.length === 0) return
    if (lastIndex !== this.#lastIndex) ops.push({ type: 'put', key: TAIL_KEY, value: encodeTail(lastIndex) })
    this.#assertRoom('write')
    const gone = truncateFrom === undefined ? undefined : this.#bytesFrom(truncateFrom)
    await this.#batch(ops, true)
    if (truncateFrom !== undefined && gone) this.#sizes.truncated(truncateFrom, gone.entries, gone.bytes)
    for (const entry of entries) this.#sizes.appended(entry.index, entry.data.length)
    this.#lastIndex = lastIndex
  }

  async compact(base: LogBase): Promise<void> {
    if (base.index <= this.#baseIndex) return
    const ops: BatchOp[] = [{ type: 'put', key: BASE_KEY, value: encodeBase(base) }]
    for (let i = this.#baseIndex + 1; i <= base.index; i++) ops.push({ type: 'del', key: entryKey(i) })
    this.#baseIndex = base.index
    this.#sizes.compacted(base.index)
    await this.#batch(ops, false)
  }

  resetOps(base: LogBase): readonly BatchOp[] {
    const ops: BatchOp[] = [
      { type: 'put', key: BASE_KEY, value: encodeBase(base) },
      { type: 'put', key: TAIL_KEY, value: encodeTail(base.index) },
    ]
    for (let i = this.#baseIndex + 1; i <= this.#lastIndex; i++) ops.push({ type: 'del', key: entryKey(i) })
    return ops
  }

  wasReset(base: LogBase): void {
    this.#baseIndex = this.#lastIndex = base.index
    this.#sizes.reset()
  }

  #read(index: LogIndex): Entry {
    return decodeEntry(index, this.#db.getSync(entryKey(index), BUFFERS))
  }

  #bytesFrom(first: LogIndex): { entries: number; bytes: number } {
    let bytes = 0
    for (let i = first; i <= this.#lastIndex; i++) bytes += this.#read(i).data.length
    return { entries: this.#lastIndex - first + 1, bytes }
  }

  async #batch(ops: BatchOp[], sync: boolean): Promise<void> {
    try {
      await this.#db.batch(ops, { sync })
    } catch (error) {
      const cause = asError(error)
      const under = cause.cause instanceof Error ? cause.cause.message : cause.message
      throw new CodedError('RAFT_LOG_WRITE_FAILED', `the replicated log cannot be written (${under}): this server must start again from its disk; look after the disk, and after its free space`, { cause })
    }
  }
}

async function begin(db: LogDatabase, options: LevelLogOptions): Promise<void> {
  const [other] = await db.keys({ gte: LOG_PREFIX, lt: `${LOG_PREFIX}~`, limit: 1 }).all()
  if (other !== undefined) throw damaged('the record of what it begins after is missing')
  options.assertRoom?.('write')
  const index = options.stateAt ?? 0
  const term = index === 0 ? 0 : 1
  const base: LogBase = { index, term, configuration: options.initial }
  const ops: BatchOp[] = [{ type: 'put', key: BASE_KEY, value: encodeBase(base) }, { type: 'put', key: TAIL_KEY, value: encodeTail(index) }]
  if (term > 0) ops.push({ type: 'put', key: HARD_STATE_KEY, value: encodeHardState({ term, vote: NOBODY }) })
  await db.batch(ops, { sync: true })
}

/** Reads and checks all of it. */
async function recover(db: LogDatabase): Promise<Found> {
  const base = decodeBase(db.getSync(BASE_KEY, BUFFERS))
  const hardState: HardState = decodeHardState(db.getSync(HARD_STATE_KEY, BUFFERS))
  const lastIndex = decodeTail(db.getSync(TAIL_KEY, BUFFERS))
  if (lastIndex < base.index) throw damaged(`it ends at ${lastIndex}, before it begins at ${base.index + 1}`)
  const summary = new LogSummary(base)
  const sizes = new LogSizes()
  const useless: BatchOp[] = []
  // Of a compaction that a power cut lost, with a later one that it did not.
  for await (const key of db.keys({ gte: ENTRY_PREFIX, lte: entryKey(base.index) })) useless.push({ type: 'del', key })
  const rows = db.iterator({ gte: entryKey(base.index + 1), lt: ENTRY_END, valueEncoding: 'buffer' })
  try {
    for (let part = await rows.nextv(RECOVER_ROWS); part.length > 0; part = await rows.nextv(RECOVER_ROWS)) {
      for (const [key, bytes] of part) {
        const index = indexOfKey(key)
        if (index > lastIndex) {
          // Of a write that was never acknowledged.
          useless.push({ type: 'del', key })
          continue
        }
        if (index !== summary.lastIndex + 1) throw damaged(`entry ${summary.lastIndex + 1} is missing`, summary.lastIndex + 1)
        const entry = decodeEntry(index, bytes)
        if (entry.term > hardState.term) throw damaged(`entry ${index} is of term ${entry.term}, which this server has not reached`, index)
        summarize(summary, entry)
        sizes.appended(index, entry.data.length)
      }
    }
  } finally {
    await rows.close()
  }
  if (summary.lastIndex !== lastIndex) throw damaged(`entry ${summary.lastIndex + 1} is missing`, summary.lastIndex + 1)
  if (useless.length > 0) await db.batch(useless, { sync: true })
  return { recovered: { hardState, base, lastIndex, terms: summary.terms, configurations: summary.configurations }, sizes }
}

function summarize(summary: LogSummary, entry: Entry): void {
  try {
    summary.add(entry)
  } catch (error) {
    throw damaged(`entry ${entry.index}: ${asError(error).message}`, entry.index, error)
  }
}
