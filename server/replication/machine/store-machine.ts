/**
 * The store as what the log is about: applies groups to what readers see at once, and writes them to the database
 * later, many at a time; what a crash loses of that, the log brings again.
 */
import { asError, assert, CodedError } from '#base/errors.ts'
import type { Clock } from '#base/clock.ts'
import type { HistoryLimits } from '#server/store/history.ts'
import type { HistorySpill } from '#server/store/spilled-events.ts'
import type { Revision, WatchEvent } from '#server/store/store.ts'
import { WRITE_BACK, type WriteBack } from '#server/store/write-back.ts'
import type { Entry, LogBase, LogIndex, Recovered, Snapshot, Term } from '../../raft/types.ts'
import type { BatchOp, SnapshotSource, StateMachine } from '../contract.ts'
import { decodeGroupChanges, decodeHeader, type Change, type GroupHeader } from './entry.ts'
import { CLEAN_KEY, encodePosition, encodeRevision, POSITION_KEY, stateOp, type Database, type Position } from './state-database.ts'
import type { OpenedState } from './open-state.ts'
import { openSnapshotSource } from './snapshot-source.ts'
import type { ReceivedSnapshots } from './received-snapshots.ts'
import { installSnapshot } from './install.ts'
import { VisibleState } from './visible-state.ts'

/** What is applied waits for more before it is written, as each writing costs a sync; beyond this, or the profile's bytes, it does not: a board's memory, and the time that a restart takes, are the reasons. */
const WRITE_KEYS = 1024

/** What this member proposed itself and still has in memory: applied without being decoded. */
export interface OwnGroup {
  /** What the leader had shown before: in the log now. */
  readonly carried: readonly Change[]
  readonly transactions: readonly { readonly events: readonly WatchEvent[]; readonly revision: Revision }[]
}

export interface MachineListener {
  /** The group that this header is of, where it was made here. */
  own(header: GroupHeader): OwnGroup | undefined
  /** After the group is visible; `data` is the entry's. */
  applied(header: GroupHeader, data: Buffer): void
  /** Another state took the place of this one. */
  jumped(): void
  /** A leader's first entry of this term is applied. */
  termBegan(term: Term): void
}

export interface StoreMachineOptions {
  db: Database
  clock: Clock
  history: HistoryLimits
  /** Where history goes that has no room in memory. */
  historySpill?: HistorySpill
  writeBack?: WriteBack
}

export class StoreMachine implements StateMachine {
  readonly #db: Database
  readonly #clock: Clock
  readonly #writeBack: WriteBack
  readonly #received: ReceivedSnapshots
  readonly state: VisibleState
  readonly failed: Promise<never>
  /** What is visible of the log. */
  #position: Position
  /** What the database holds. */
  #written: Position
  #clean: Revision | undefined
  #cleanIsStored: boolean
  #listener: MachineListener | undefined
  #writer: Promise<void> | undefined
  #cancelWrite: (() => void) | undefined
  #installing: Promise<void> | undefined
  #closed = false
  #stopsCleanly = false
  #termApplied: Term = 0
  #fail: (error: Error) => void = () => undefined

  constructor(options: StoreMachineOptions, opened: OpenedState) {
    this.#db = options.db
    this.#clock = options.clock
    this.#writeBack = options.writeBack ?? WRITE_BACK.normal
    this.#received = opened.received
    this.failed = new Promise((_, reject) => { this.#fail = reject })
    this.failed.catch(() => undefined)
    this.#position = this.#written = opened.position
    this.#clean = opened.clean
    this.#cleanIsStored = opened.clean !== undefined
    this.state = new VisibleState(options.db, opened.position.revision, options.history, options.historySpill)
  }

  /** Grows while it runs: what is written to the database after it has been read is durable only where this is, too. */
  get applied(): LogIndex { return this.#written.index }
  get partialSnapshot(): Recovered['partialSnapshot'] { return this.#received.partial }

  /** Of the last group that counted: what the next one has to follow. */
  get position(): Position { return this.#position }
  /** What revision to go on after, where no other server and no later start can have given out more. */
  get clean(): Revision | undefined { return this.#clean }
  /** Of the last first entry of a leader that was applied since the start. */
  get termApplied(): Term { return this.#termApplied }
  /** Reads wait for this. */
  get installing(): Promise<void> | undefined { return this.#installing }

  listen(listener: MachineListener): void { this.#listener = listener }

  apply(entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) {
      if (entry.kind === 'normal') this.#applyGroup(entry)
      this.#position = { ...this.#position, index: entry.index }
      if (entry.kind === 'empty') {
        this.#termApplied = entry.term
        this.#listener?.termBegan(entry.term)
      }
    }
    if (this.state.loggedCount > 0) this.#writeSoon()
    return DONE
  }

  #applyGroup(entry: Entry): void {
    this.#clean = undefined
    const header = decodeHeader(entry.data)
    if (header.term !== entry.term || header.after !== this.#position.revision) return
    const own = this.#listener?.own(header)
    if (own) this.#showOwn(own)
    else if (header.kind === 'restore') this.#placeRestored(decodeGroupChanges(entry.data), header.revision)
    else this.#show(decodeGroupChanges(entry.data))
    if (header.kind === 'beginning' && this.state.hasOutstanding) this.state.takeBack(header.revision)
    this.state.advance(header.revision)
    this.#position = { index: entry.index, revision: header.revision, ceiling: header.ceiling, term: header.term }
    this.#listener?.applied(header, entry.data)
  }

  #showOwn(own: OwnGroup): void {
    for (const change of own.carried) this.state.settle(change)
    for (const { events, revision } of own.transactions) this.state.showLogged(events, revision)
  }

  /** Each revision is one transaction; what was shown ahead of the log is not shown again. */
  #show(changes: readonly Change[]): void {
    const { state } = this
    for (const group of byRevision(changes)) {
      const [{ revision }] = group
      if (revision <= state.revision) for (const change of group) state.settle(change)
      else state.showLogged(group.map((c) => this.#event(c)), revision)
    }
  }

  /** Shows what the leader shows ahead of the log, up to `revision`; what is shown already is passed over. */
  showLazy(changes: readonly Change[], revision: Revision): void {
    for (const group of byRevision(changes)) {
      const [{ revision: at }] = group
      if (at > this.state.revision) this.state.showLazy(group.map((c) => this.#event(c)), at)
    }
    this.state.advance(revision)
  }

  #placeRestored(changes: readonly Change[], revision: Revision): void {
    for (const change of changes) this.state.place(change)
    this.state.restart(revision)
  }

  #event(change: Change): WatchEvent {
    return { kind: change.current ? 'put' : 'delete', key: change.key, revision: change.revision, current: change.current, previous: this.state.read(change.key) }
  }

  #writeSoon(): void {
    if (this.state.loggedBytes >= this.#writeBack.stateBytes || this.state.loggedCount >= WRITE_KEYS) this.#startWriter()
    else if (!this.#writer) this.#cancelWrite ??= this.#clock.after(this.#writeBack.stateMs, () => this.#startWriter())
  }

  #startWriter(): void {
    this.#cancelWrite?.()
    this.#cancelWrite = undefined
    this.#writer ??= this.#write().finally(() => {
      this.#writer = undefined
      if (this.state.loggedCount > 0 && !this.#closed) this.#writeSoon()
    })
  }

  async #write(): Promise<void> {
    const position = this.#position
    const batch: BatchOp[] = []
    for (const [key, current] of this.state.beginWriting()) batch.push(stateOp(key, current))
    batch.push({ type: 'put', key: POSITION_KEY, value: encodePosition(position) })
    if (this.#cleanIsStored) batch.push({ type: 'del', key: CLEAN_KEY })
    try {
      // Synced, though the log has it all: LevelDB goes on in a new file every few MB and never syncs the rest of the old
      // one. A power cut may lose this batch and keep what comes after it: the next one, or the log's compaction.
      await this.#db.batch(batch, { sync: true })
    } catch (error) {
      // The log is what keeps it. LevelDB may have written a part, and would go on behind it: nothing may, before it is opened anew.
      this.state.writeFailed()
      this.#closed = true
      const cause = asError(error)
      const under = cause.cause instanceof Error ? cause.cause.message : cause.message
      this.#fail(new CodedError('STORE_WRITE_FAILED', `the state cannot be written (${under}): this server must start again from its disk; look after the disk, and after its free space`, { cause }))
      return
    }
    this.#cleanIsStored = false
    this.#written = position
    this.state.written()
  }

  /** Resolves when the database holds what was applied when it was called, or a write failed. */
  async #catchUp(): Promise<void> {
    const { index } = this.#position
    while (this.#written.index < index && !this.#closed) {
      this.#startWriter()
      await this.#writer
    }
  }

  async openSnapshot(baseAt: (index: LogIndex) => LogBase): Promise<SnapshotSource> {
    await this.#catchUp()
    while (this.#writer) await this.#writer
    // Nothing is written between here and the snapshot: the database holds exactly what `#written` says.
    return openSnapshotSource(this.#db, this.#written, baseAt(this.#written.index))
  }

  receive(snapshot: Snapshot, offsetBytes: number, data: Buffer, last: boolean): Promise<void> {
    return this.#received.write(snapshot, offsetBytes, data, last)
  }

  discard(snapshotId: string): Promise<void> { return this.#received.discard(snapshotId) }

  install(snapshot: Snapshot, logReset: readonly BatchOp[]): Promise<void> {
    this.#installing ??= this.#install(snapshot, logReset).finally(() => { this.#installing = undefined })
    return this.#installing
  }

  async #install(snapshot: Snapshot, logReset: readonly BatchOp[]): Promise<void> {
    await this.#catchUp()
    while (this.#writer) await this.#writer
    this.#cancelWrite?.()
    this.#cancelWrite = undefined
    const file = this.#received.whole(snapshot)
    assert(file !== undefined, `snapshot ${snapshot.id} is to be installed and was not received`)
    const instead = new Map(this.state.outstanding().map((change) => [change.key, change.current] as const))
    const shown = this.state.hasWatches ? { revision: this.state.revision, instead } : undefined
    const installed = await installSnapshot(this.#db, { id: snapshot.id, file }, logReset, shown)
    this.#position = this.#written = installed.position
    this.#clean = undefined
    this.#cleanIsStored = false
    this.state.replaced(installed.events, installed.position.revision)
    this.#listener?.jumped()
    await this.#received.discard(snapshot.id)
  }

  /** Before `close`: all that was given out is in the log, by a server that has the only vote. */
  stopsCleanly(): void { this.#stopsCleanly = true }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#cancelWrite?.()
    this.#cancelWrite = undefined
    while (this.#writer) await this.#writer
    await this.#catchUp()
    if (this.#stopsCleanly && !this.#closed) {
      const stopped: BatchOp = { type: 'put', key: CLEAN_KEY, value: encodeRevision(this.state.revision) }
      await this.#db.batch([stopped], { sync: true })
    }
    this.#closed = true
    await this.#received.close()
  }
}

const DONE = Promise.resolve()

/** One after the other those that stand together. */
function* byRevision(changes: readonly Change[]): Generator<readonly [Change, ...Change[]]> {
  for (let i = 0; i < changes.length;) {
    const first = changes[i] as Change
    let end = i + 1
    while (changes[end]?.revision === first.revision) end++
    yield [first, ...changes.slice(i + 1, end)]
    i = end
  }
}
