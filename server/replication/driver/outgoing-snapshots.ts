/** Snapshots that are being sent: each open one serves all followers that want it, and is closed when the last is done. */
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { LogBase, LogIndex, MemberId, RaftEvent, SnapshotRead } from '../../raft/types.ts'
import type { SnapshotSource, StateMachine } from '../contract.ts'

interface Held {
  readonly source: SnapshotSource
  readonly users: Set<MemberId>
  /** Reads of one source come one after the other. */
  reading: Promise<unknown>
}

export interface OutgoingSnapshotsParts {
  readonly machine: StateMachine
  readonly log: Log
  readonly baseAt: (index: LogIndex) => LogBase
  /** The index that the log begins after now. */
  readonly base: () => LogIndex
  /** Holding on to a snapshot at `index` for this follower keeps too much of the log: it gets a newer one. */
  readonly isStale: (to: MemberId, index: LogIndex) => boolean
  readonly give: (event: RaftEvent) => void
}

export class OutgoingSnapshots {
  readonly #parts: OutgoingSnapshotsParts
  readonly #held = new Map<string, Held>()
  /** While one is being opened the log must not be compacted beyond it. */
  #opening: Promise<Held> | undefined
  #closed = false

  constructor(parts: OutgoingSnapshotsParts) {
    this.#parts = parts
  }

  get isOpening(): boolean {
    return this.#opening !== undefined
  }

  async read(read: SnapshotRead): Promise<void> {
    const { to } = read
    let id: string | undefined
    try {
      const { held, offsetBytes } = await this.#find(read)
      const { snapshot } = held.source
      id = snapshot.id
      const piece = held.reading.then(() => held.source.read(offsetBytes, read.bytesMax))
      // A failed read must not fail those after it.
      held.reading = piece.catch(() => undefined)
      const { data, last } = await piece
      if (!this.#closed) this.#parts.give({ kind: 'snapshotRead', to, snapshot, offsetBytes, data, last })
    } catch (error) {
      if (this.#closed) return
      this.#parts.log.warn('a snapshot cannot be read', { to, error: asError(error) })
      this.#parts.give({ kind: 'snapshotReadFailed', to })
      // Whether the core still wants it, or ever heard of it, is not known here: if it asks again it is opened again.
      if (id !== undefined) await this.done(to, id)
    }
  }

  async done(to: MemberId, snapshotId: string): Promise<void> {
    const held = this.#held.get(snapshotId)
    if (!held) return
    held.users.delete(to)
    if (held.users.size === 0) await this.#release(snapshotId, held)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#opening?.catch(() => undefined)
    await Promise.all(Array.from(this.#held, ([id, held]) => this.#release(id, held)))
  }

  /** The one asked for; where it is gone, or none was named, one that the log goes on from, from its beginning. */
  async #find(read: SnapshotRead): Promise<{ held: Held; offsetBytes: number }> {
    const fits = (h: Held | undefined) => h !== undefined && h.source.snapshot.index >= this.#parts.base() && !this.#parts.isStale(read.to, h.source.snapshot.index)
    const named = read.snapshotId === undefined ? undefined : this.#held.get(read.snapshotId)
    const fitting = fits(named) ? named : [...this.#held.values()].findLast(fits)
    const held = fitting ?? (await (this.#opening ??= this.#open().finally(() => { this.#opening = undefined })))
    held.users.add(read.to)
    return { held, offsetBytes: held === named ? read.offsetBytes : 0 }
  }

  async #open(): Promise<Held> {
    const source = await this.#parts.machine.openSnapshot(this.#parts.baseAt)
    // Nothing was applied since an open one was made.
    const same = this.#held.get(source.snapshot.id)
    if (same) {
      await source.close()
      return same
    }
    const held: Held = { source, users: new Set(), reading: Promise.resolve() }
    this.#held.set(source.snapshot.id, held)
    return held
  }

  async #release(id: string, held: Held): Promise<void> {
    this.#held.delete(id)
    await held.reading
    await held.source.close()
  }
}
