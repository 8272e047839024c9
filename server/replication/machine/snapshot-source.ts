/** A state as bytes at any offset, read off a snapshot of the database: writes go on meanwhile. */
import type { LogBase } from '../../raft/types.ts'
import type { SnapshotSource } from '../contract.ts'
import { snapshotId, writeState } from './snapshot-stream.ts'
import { scanState, type Database, type Position } from './state-database.ts'

/** At the call the database holds exactly what `position` says. */
export function openSnapshotSource(db: Database, position: Position, base: LogBase): SnapshotSource {
  return new StateSource(db, position, base)
}

class StateSource implements SnapshotSource {
  readonly snapshot: SnapshotSource['snapshot']
  readonly #db: Database
  readonly #position: Position
  readonly #moment: ReturnType<Database['snapshot']>
  #bytes: AsyncGenerator<Buffer> | undefined
  /** Read and not asked for yet; its first byte is at `#offset`. */
  #held: Buffer = Buffer.alloc(0)
  #offset = 0
  #queue: Promise<unknown> = Promise.resolve()

  constructor(db: Database, position: Position, base: LogBase) {
    this.#db = db
    this.#position = { ...position, index: base.index }
    this.#moment = db.snapshot()
    this.snapshot = { ...base, id: snapshotId(base) }
  }

  /** One at a time, whoever asks. */
  read(offsetBytes: number, bytesMax: number): Promise<{ data: Buffer; last: boolean }> {
    const reading = this.#queue.then(() => this.#read(offsetBytes, bytesMax))
    this.#queue = reading.catch(() => undefined)
    return reading
  }

  async #read(offsetBytes: number, bytesMax: number): Promise<{ data: Buffer; last: boolean }> {
    if (offsetBytes < this.#offset || !this.#bytes) await this.#rewind()
    while (this.#offset + this.#held.length <= offsetBytes + bytesMax) {
      const parts: Buffer[] = [this.#held]
      let have = this.#offset + this.#held.length
      let done = false
      while (have <= offsetBytes + bytesMax && !done) {
        const next = await this.#bytes?.next()
        if (!next || next.done) done = true
        else {
          parts.push(next.value)
          have += next.value.length
        }
      }
      this.#held = Buffer.concat(parts)
      this.#forget(offsetBytes)
      if (done) return { data: this.#held.subarray(0, bytesMax), last: this.#held.length <= bytesMax }
    }
    this.#forget(offsetBytes)
    return { data: this.#held.subarray(0, bytesMax), last: false }
  }

  /** Bytes before the one that is wanted; those after it are kept, as they may be asked for once more. */
  #forget(offsetBytes: number): void {
    const gone = Math.min(this.#held.length, Math.max(0, offsetBytes - this.#offset))
    this.#held = this.#held.subarray(gone)
    this.#offset += gone
  }

  async #rewind(): Promise<void> {
    await this.#bytes?.return(undefined)
    this.#bytes = writeState(this.#position, scanState(this.#db, { prefix: '' }, this.#moment))
    this.#held = Buffer.alloc(0)
    this.#offset = 0
  }

  async close(): Promise<void> {
    await this.#queue
    await this.#bytes?.return(undefined)
    this.#bytes = undefined
    await this.#moment.close()
  }
}
