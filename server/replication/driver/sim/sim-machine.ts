/** A state machine on a simulated disk: slow, written back now and then, with snapshots that get damaged. */
import { CodedError } from '#base/errors.ts'
import { Violation } from '../../../raft/sim/checker.ts'
import { bytesOfMachine, machineOfBytes } from '../../../raft/sim/disk.ts'
import type { Entry, LogBase, LogIndex, Snapshot } from '../../../raft/types.ts'
import type { SnapshotSource, StateMachine } from '../../contract.ts'
import { never, type Host, type Life, type Surroundings } from './surroundings.ts'

export class SimMachine implements StateMachine {
  readonly partialSnapshot: StateMachine['partialSnapshot']
  readonly #world: Surroundings
  readonly #server: Host
  readonly #life: Life
  #busy = false

  constructor(world: Surroundings, server: Host, life: Life) {
    this.#world = world
    this.#server = server
    this.#life = life
    this.partialSnapshot = server.disk.recover().partialSnapshot
  }

  get applied(): LogIndex {
    return this.#server.disk.machine.index
  }

  apply(entries: readonly Entry[]): Promise<void> {
    return this.#alone(async () => {
      await this.#server.wait(this.#life, this.#world.plan.applyMsMax)
      for (const entry of entries) this.#life.machine = this.#world.check(() => this.#world.checker.applied(this.#server.id, this.#life.machine, entry))
      if (this.#world.random.next() < 0.3) this.#server.disk.machine = this.#life.machine
    })
  }

  async openSnapshot(baseAt: (index: LogIndex) => LogBase): Promise<SnapshotSource> {
    await this.#server.wait(this.#life, 5)
    if (this.#world.happens(this.#world.plan.snapshotFailRate)) throw new Error('no snapshot now')
    const state = this.#life.machine
    const base = baseAt(state.index)
    const bytes = bytesOfMachine(state)
    let isOpen = true
    this.#life.openSources++
    return {
      snapshot: { ...base, id: `${base.index}-${state.chain}` },
      read: async (offsetBytes, bytesMax) => {
        await this.#server.wait(this.#life, 5)
        if (!isOpen) this.#world.violated(new Violation('snapshots', `${this.#server.id} reads a snapshot that it has closed`))
        if (this.#world.happens(this.#world.plan.snapshotFailRate)) throw new Error('it cannot be read')
        return { data: bytes.subarray(offsetBytes, offsetBytes + bytesMax), last: offsetBytes + bytesMax >= bytes.length }
      },
      close: async () => {
        if (!isOpen) this.#world.violated(new Violation('snapshots', `${this.#server.id} closes a snapshot twice`))
        isOpen = false
        this.#life.openSources--
      },
    }
  }

  async receive(snapshot: Snapshot, offsetBytes: number, data: Buffer, last: boolean): Promise<void> {
    const { disk } = this.#server
    await this.#server.wait(this.#life, this.#world.syncMsMax)
    const before = disk.partial?.snapshot.id === snapshot.id && offsetBytes > 0 ? disk.partial.bytes : Buffer.alloc(0)
    if (before.length !== offsetBytes) this.#world.violated(new Violation('snapshots', `${this.#server.id} is to write ${snapshot.id} at ${offsetBytes}, and has ${before.length}`))
    if (this.#world.happens(this.#world.plan.snapshotFailRate)) throw new CodedError('SNAPSHOT_DAMAGED', 'it came damaged')
    disk.partial = { snapshot, bytes: Buffer.concat([before, data]), complete: last }
    await this.#server.wait(this.#life, 1)
    if (last) this.#world.check(() => this.#world.checker.restored(this.#server.id, machineOfBytes(Buffer.concat([before, data]))))
  }

  async discard(snapshotId: string): Promise<void> {
    await this.#server.wait(this.#life, 1)
    if (this.#server.disk.partial?.snapshot.id === snapshotId) this.#server.disk.partial = undefined
  }

  install(snapshot: Snapshot): Promise<void> {
    return this.#alone(async () => {
      const { disk } = this.#server
      if (this.#life.isDead) return never()
      if (disk.full) throw new CodedError('DISK_FULL', 'no room')
      disk.write({ sequence: 0, hardState: undefined, snapshot, entries: [], nothing: false, messages: [] })
      await this.#server.wait(this.#life, this.#world.syncMsMax)
      disk.sync()
      this.#life.machine = disk.machine
      this.#world.check(() => this.#world.checker.restored(this.#server.id, disk.machine))
      this.#world.tally.installed++
      this.#world.trace(`${this.#server.id} installs snapshot ${snapshot.id}`)
    })
  }

  async close(): Promise<void> {
    await this.#server.wait(this.#life, 1)
    this.#server.disk.machine = this.#life.machine
  }

  /** The driver promises to do one thing at a time. */
  async #alone(work: () => Promise<void>): Promise<void> {
    if (this.#busy) this.#world.violated(new Violation('order', `${this.#server.id} applies or installs while it does so already`))
    this.#busy = true
    try {
      await work()
    } finally {
      this.#busy = false
    }
  }
}
