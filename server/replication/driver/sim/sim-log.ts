/** The log on a simulated disk, which fills up, fails and loses what was not synced. */
import { CodedError } from '#base/errors.ts'
import { Violation } from '../../../raft/sim/checker.ts'
import type { Entry, LogBase, LogIndex, Persist } from '../../../raft/types.ts'
import type { BatchOp, LogStorage } from '../../contract.ts'
import { ENTRY_OVERHEAD_BYTES } from '../../log/log-sizes.ts'
import { never, type Host, type Life, type Surroundings } from './surroundings.ts'

export class SimLog implements LogStorage {
  readonly recovered: LogStorage['recovered']
  readonly #world: Surroundings
  readonly #server: Host
  readonly #life: Life

  constructor(world: Surroundings, server: Host, life: Life) {
    this.#world = world
    this.#server = server
    this.#life = life
    this.recovered = server.disk.recover()
  }

  get sizeBytes(): number {
    return this.#server.disk.log.reduce((sum, e) => sum + e.data.length + ENTRY_OVERHEAD_BYTES, 0)
  }

  indexKeeping(bytes: number, indexMax: LogIndex): LogIndex | undefined {
    let after = 0
    for (const entry of this.#server.disk.log.toReversed()) {
      if (entry.index <= indexMax && after >= bytes) return entry.index
      after += entry.data.length + ENTRY_OVERHEAD_BYTES
    }
    return undefined
  }

  assertRoom(): void {
    // Mostly it is seen coming.
    if (this.#server.disk.full && this.#world.random.next() < 0.7) throw new CodedError('DISK_FULL', 'no room soon')
  }

  entries(low: LogIndex, high: LogIndex, bytesMax: number): readonly Entry[] {
    return this.#server.disk.entries(low, high, bytesMax)
  }

  async write(persists: readonly Persist[]): Promise<void> {
    const { disk } = this.#server
    if (this.#life.isDead) return never()
    if (disk.full) {
      await this.#server.wait(this.#life, 1)
      throw new CodedError('DISK_FULL', 'no room')
    }
    for (const persist of persists) disk.write(persist)
    await this.#server.wait(this.#life, this.#world.syncMsMax)
    if (this.#world.happens(this.#world.plan.diskFailRate)) throw new CodedError('SIM_DISK_FAILED', 'the sync failed')
    disk.sync()
  }

  async compact(base: LogBase): Promise<void> {
    await this.#server.wait(this.#life, 5)
    const { disk } = this.#server
    if (base.index > disk.machine.index) this.#world.violated(new Violation('compaction', `${this.#server.id} drops its log up to ${base.index}, and its disk has the state of ${disk.machine.index}`))
    if (base.index > disk.base.index) disk.compact(base)
  }

  resetOps(): readonly BatchOp[] {
    return []
  }

  wasReset(): void {
    // The disk has done it with the snapshot.
  }
}
