/**
 * The one writer of the log: keeps the order of what the core wants persisted, and writes all that waits as one batch
 * with one sync. Where the disk is full it waits and tries again; any other failure is the end.
 */
import type { Clock } from '#base/clock.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { Persist } from '../../raft/types.ts'
import type { LogStorage } from '../contract.ts'

export interface LogWriterHooks {
  /** Right before a write with a sync. */
  writing(): void
  /** Durable, in order: their messages may go out. */
  written(persists: readonly Persist[]): void
  /** `persist.snapshot` becomes the state and the log's base; resolves when it is durable. */
  install(persist: Persist): Promise<void>
  full(isFull: boolean, error: Error | undefined): void
  failed(error: Error): void
}

/** Until a full disk is tried again. */
const FULL_RETRY_MS = 1_000
/** Data bytes of one batch: bounds what one sync takes on slow flash. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024

export class LogWriter {
  readonly #storage: LogStorage
  readonly #clock: Clock
  readonly #hooks: LogWriterHooks
  readonly #stop = new AbortController()
  #queue: Persist[] = []
  #running: Promise<void> | undefined
  #isFull = false

  constructor(storage: LogStorage, clock: Clock, hooks: LogWriterHooks) {
    this.#storage = storage
    this.#clock = clock
    this.#hooks = hooks
  }

  add(persist: Persist): void {
    this.#queue.push(...partsOf(persist))
    this.#running ??= this.#run()
  }

  /** Resolves when nothing is being written any more; what still waits is dropped. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped'))
    await this.#running
  }

  async #run(): Promise<void> {
    try {
      while (this.#queue.length > 0 && !this.#stop.signal.aborted) {
        const batch = this.#take()
        if (await this.#write(batch)) this.#hooks.written(batch)
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#hooks.failed(asError(error))
    } finally {
      // In the same breath as the last look at the queue: what comes a moment later starts it again.
      this.#running = undefined
    }
  }

  /** A snapshot alone, or all up to the next one. */
  #take(): readonly Persist[] {
    let count = 0
    let bytes = 0
    for (const persist of this.#queue) {
      if (count > 0 && (persist.snapshot !== undefined || bytes > BATCH_BYTES_MAX)) break
      for (const entry of persist.entries) bytes += entry.data.length
      count++
      if (persist.snapshot !== undefined) break
    }
    return this.#queue.splice(0, count)
  }

  /** False where it has to wait for room: then it is first in the queue again. */
  async #write(batch: readonly Persist[]): Promise<boolean> {
    const [first] = batch
    try {
      if (first?.snapshot !== undefined) await this.#hooks.install(first)
      else if (batch.some((p) => !p.nothing)) {
        this.#hooks.writing()
        await this.#storage.write(batch)
      }
    } catch (error) {
      if (!hasCode(error, 'DISK_FULL')) throw error
      this.#queue.unshift(...batch)
      this.#tellFull(true, asError(error))
      await this.#clock.sleep(FULL_RETRY_MS, this.#stop.signal)
      return false
    }
    this.#tellFull(false, undefined)
    return true
  }

  #tellFull(isFull: boolean, error: Error | undefined): void {
    if (this.#isFull === isFull) return
    this.#isFull = isFull
    this.#hooks.full(isFull, error)
  }
}

/**
 * One with a snapshot is three: term and vote, snapshot, entries. Each is atomic, and in this order a crash between two of
 * them leaves what a server may well have; a full disk then repeats none that is done. Only the last says what waits for all.
 */
function partsOf(persist: Persist): readonly Persist[] {
  const { sequence, hardState, snapshot, entries, messages } = persist
  if (snapshot === undefined) return [persist]
  const part: Persist = { sequence: sequence - 1, hardState: undefined, snapshot: undefined, entries: [], nothing: false, messages: [] }
  return [
    ...(hardState ? [{ ...part, hardState }] : []),
    { ...part, snapshot },
    { ...part, sequence, entries, messages, nothing: entries.length === 0 },
  ]
}
