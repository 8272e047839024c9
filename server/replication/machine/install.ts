/**
 * A received state in place of the one that is there. Only what differs is written, in pieces; a note in the database says
 * that it is under way until the last piece, which also resets the log. After a crash the same is done again from the note
 * and the file: what was written already does not differ any more.
 */
import { CodedError } from '#base/errors.ts'
import type { KeyValue, Revision, WatchEvent } from '#server/store/store.ts'
import type { BatchOp } from '../contract.ts'
import { readStateFile, type ReceivedSnapshots } from './received-snapshots.ts'
import { CLEAN_KEY, encodePosition, INSTALL_KEY, POSITION_KEY, readBytes, scanState, stateOp, type Database, type Position } from './state-database.ts'

const BATCH_OPS = 512
const BATCH_BYTES = 1024 * 1024

interface Note { snapshotId: string; logReset: readonly { type: BatchOp['type']; key: string; value?: string }[] }

export interface Installed {
  position: Position
  /** What watches have to hear, by revision; empty where nobody asked. */
  events: WatchEvent[]
}

/** What watches have seen: up to which revision, and what instead of what is in the database. */
export interface Shown { revision: Revision; instead: ReadonlyMap<string, KeyValue | undefined> }

/** `shown` undefined: nobody watches. */
export async function installSnapshot(db: Database, snapshot: { id: string; file: string }, logReset: readonly BatchOp[], shown: Shown | undefined): Promise<Installed> {
  const note: Note = { snapshotId: snapshot.id, logReset: logReset.map((op) => (op.type === 'put' ? { type: op.type, key: op.key, value: op.value.toString('base64') } : { type: op.type, key: op.key })) }
  await db.batch([{ type: 'put', key: INSTALL_KEY, value: Buffer.from(JSON.stringify(note)) }], { sync: true })
  return replace(db, snapshot.file, logReset, shown)
}

/** At the start: ends what a crash cut off. */
export async function resumeInstall(db: Database, received: ReceivedSnapshots): Promise<void> {
  const bytes = readBytes(db, INSTALL_KEY)
  if (!bytes) return
  const note = JSON.parse(bytes.toString()) as Note
  const file = received.whole({ id: note.snapshotId })
  if (file === undefined) throw new CodedError('STORE_CORRUPT', `the installation of snapshot ${note.snapshotId} was cut off and the file of it is gone: remove this server from the cluster, move its data directory away and join it again`)
  const logReset = note.logReset.map((op): BatchOp => (op.type === 'put' ? { type: 'put', key: op.key, value: Buffer.from(op.value ?? '', 'base64') } : { type: 'del', key: op.key }))
  await replace(db, file, logReset, undefined)
  await received.discard(note.snapshotId)
}

async function replace(db: Database, file: string, logReset: readonly BatchOp[], shown: Shown | undefined): Promise<Installed> {
  const batch = new Batch(db)
  let position: Position | undefined
  let difference: Difference | undefined
  const there = scanState(db, { prefix: '' })
  let old = await there.next()
  const gone = async (previous: KeyValue): Promise<void> => {
    await batch.add(stateOp(previous.key, undefined), 0)
    difference?.add(previous.key, previous, undefined)
  }
  try {
    for await (const part of readStateFile(file)) {
      if ('position' in part) {
        position = part.position
        difference = shown && new Difference(shown, position.revision)
        continue
      }
      const { item } = part
      for (; !old.done && isBefore(old.value.key, item.key); old = await there.next()) await gone(old.value)
      const previous = !old.done && old.value.key === item.key ? old.value : undefined
      if (previous) old = await there.next()
      if (previous?.modRevision !== item.modRevision || !previous.value.equals(item.value)) await batch.add(stateOp(item.key, item), item.value.length)
      difference?.add(item.key, previous, item)
    }
    for (; !old.done; old = await there.next()) await gone(old.value)
  } finally {
    await there.return(undefined)
  }
  if (!position) throw new CodedError('STORE_CORRUPT', 'the received state says not where it stands')
  await batch.finish([{ type: 'put', key: POSITION_KEY, value: encodePosition(position) }, { type: 'del', key: INSTALL_KEY }, { type: 'del', key: CLEAN_KEY }, ...logReset])
  return { position, events: difference?.events() ?? [] }
}

/** As the database orders them: by bytes, which JavaScript's own order is not beyond the basic plane. */
function isBefore(a: string, b: string): boolean {
  return a !== b && Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0
}

/** What watches have to hear to get from what they saw to the new state; what happened in between is not known here. */
class Difference {
  readonly #shown: Shown
  readonly #revision: Revision
  /** Shown instead of what was in the database, and not met yet. */
  readonly #instead: Map<string, KeyValue | undefined>
  readonly #events: WatchEvent[] = []

  constructor(shown: Shown, revision: Revision) {
    this.#shown = shown
    this.#revision = revision
    this.#instead = new Map(shown.instead)
  }

  add(key: string, inDatabase: KeyValue | undefined, current: KeyValue | undefined): void {
    const previous = this.#instead.has(key) ? this.#instead.get(key) : inDatabase
    this.#instead.delete(key)
    if (previous?.modRevision === current?.modRevision) return
    // What watches have passed already cannot come again: it is told as of the new state.
    const revision = current && current.modRevision > this.#shown.revision ? current.modRevision : this.#revision
    this.#events.push({ kind: current ? 'put' : 'delete', key, revision, current, previous })
  }

  events(): WatchEvent[] {
    for (const key of Array.from(this.#instead.keys())) this.add(key, undefined, undefined)
    return this.#events.sort((a, b) => a.revision - b.revision)
  }
}

class Batch {
  readonly #db: Database
  #ops: BatchOp[] = []
  #bytes = 0

  constructor(db: Database) { this.#db = db }

  async add(op: BatchOp, bytes: number): Promise<void> {
    this.#ops.push(op)
    this.#bytes += bytes
    if (this.#ops.length < BATCH_OPS && this.#bytes < BATCH_BYTES) return
    const ops = this.#ops
    this.#ops = []
    this.#bytes = 0
    await this.#db.batch(ops, {})
  }

  async finish(last: readonly BatchOp[]): Promise<void> {
    await this.#db.batch([...this.#ops, ...last], { sync: true })
  }
}
