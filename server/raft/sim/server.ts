/**
 * A simulated server: a core, and a driver that does what each Ready says with a simulated disk, network and clock. It can
 * die at any point of it.
 */
import { seededRandom } from '#base/random.ts'
import type { Random } from '#base/random.ts'
import type { Entry, LogBase, LogIndex, MemberId, Persist, ProposalOutcome, RaftEvent, RaftStatus, ReadOutcome, Ready, Snapshot, SnapshotRead, SnapshotWrite, Term } from '../types.ts'
import { Violation } from './checker.ts'
import { bytesOfMachine, machineOfBytes } from './disk.ts'
import type { Disk, MachineState } from './disk.ts'
import type { Core, Surroundings } from './surroundings.ts'

/** Thrown in the midst of a step to end it there. */
class Death extends Error {}

interface Waiting {
  readonly seenBefore: LogIndex
  readonly begunMs: number
}

/** What dies with the process. */
class Life {
  readonly core: Core
  status: RaftStatus
  machine: MachineState
  events: RaftEvent[] = []
  turnDue = false
  syncing = false
  compactTo: LogBase | undefined
  /** The last term that the checker knows it leads in. */
  ledTerm = 0
  applying = false
  readonly unproven: { readonly entry: Entry; readonly prevTerm: Term | undefined }[] = []
  /** Handed to the writer, not written. */
  readonly unwritten: Persist[] = []
  readonly proposals = new Map<number, Waiting>()
  readonly reads = new Map<number, Waiting>()
  readonly writesDue = new Map<LogIndex, { readonly proposal: number; readonly term: Term; readonly seenBefore: LogIndex }[]>()
  readsDue: { readonly index: LogIndex; readonly seenBefore: LogIndex }[] = []
  readonly snapshots = new Map<string, { readonly snapshot: Snapshot; readonly bytes: Buffer }>()
  pausedUntilMs = 0

  constructor(core: Core, machine: MachineState) {
    this.core = core
    this.status = core.status()
    this.machine = machine
  }
}

export class Server {
  readonly id: MemberId
  readonly disk: Disk
  life: Life | undefined
  /** Its clock: true time times the rate, plus the offset. */
  readonly #rate: number
  #offsetMs: number
  readonly #world: Surroundings
  /** Counts down through the actions of a step; death comes at 0. */
  #actionsLeft = Infinity

  constructor(world: Surroundings, id: MemberId, disk: Disk) {
    this.#world = world
    this.id = id
    this.disk = disk
    this.#rate = 1 + (world.random.next() * 2 - 1) * world.plan.drift
    this.#offsetMs = world.random.next() * 1e6
    world.checker.disks.set(id, disk)
    this.#tickLater()
  }

  get nowMs(): number {
    return this.#offsetMs + this.#world.queue.nowMs * this.#rate
  }

  jump(ms: number): void {
    this.#offsetMs += ms
  }

  start(): void {
    if (this.life) return
    const world = this.#world
    const recovered = this.disk.recover()
    world.checker.restored(this.id, this.disk.machine)
    const random = seededRandom(Math.floor(world.random.next() * 2 ** 32))
    const core = world.makeCore({ ...world.plan.options, id: this.id }, recovered, this.disk, random, this.nowMs)
    this.life = new Life(core, this.disk.machine)
    world.trace(`${this.id} starts with term ${recovered.hardState.term}, log ${recovered.base.index} to ${recovered.lastIndex}, state ${recovered.applied}`)
    if (this.disk.full) this.life.events.push({ kind: 'diskFull', full: true })
    this.#turnSoon(this.life)
  }

  crash(why: string): void {
    if (!this.life) return
    this.#world.trace(`${this.id} dies: ${why}`)
    this.life = undefined
    this.disk.crash(this.#world.random)
  }

  pause(ms: number): void {
    if (this.life) this.life.pausedUntilMs = this.#world.queue.nowMs + ms
  }

  setDiskFull(full: boolean): void {
    if (this.disk.full === full) return
    this.disk.full = full
    this.give({ kind: 'diskFull', full })
    if (!full && this.life) this.#syncLater(this.life)
  }

  give(event: RaftEvent): void {
    const life = this.life
    if (!life) return
    life.events.push(event)
    this.#turnSoon(life)
  }

  propose(proposal: number, data: Buffer): void {
    this.life?.proposals.set(proposal, { seenBefore: this.#world.checker.seen, begunMs: this.#world.queue.nowMs })
    this.give({ kind: 'propose', id: proposal, data: [data] })
  }

  read(id: number): void {
    this.life?.reads.set(id, { seenBefore: this.#world.checker.seen, begunMs: this.#world.queue.nowMs })
    this.give({ kind: 'read', id })
  }

  /** Drops log that is applied, as far as the core allows and the plan does not keep. */
  compact(): void {
    const life = this.life
    if (!life) return
    const index = Math.min(life.core.compactIndexMax(), this.disk.lastIndex, life.machine.index) - this.#world.plan.keepEntries
    // Below the core's base while a received snapshot is on its way to the disk.
    if (index <= this.disk.base.index || index <= life.status.base) return
    if (life.compactTo !== undefined) return
    this.#writeBack(life)
    life.compactTo = life.core.baseAt(index)
    this.give({ kind: 'compacted', index })
  }

  /** The oldest question without an outcome. */
  oldestWaitMs(): number {
    let oldest = 0
    for (const waiting of [this.life?.proposals, this.life?.reads]) for (const { begunMs } of waiting?.values() ?? []) oldest = Math.max(oldest, this.#world.queue.nowMs - begunMs)
    return oldest
  }

  #tickLater(): void {
    this.#world.queue.after(this.#world.plan.options.tickMs / this.#rate, () => {
      const life = this.life
      // A process that does not run misses its ticks.
      if (life && life.pausedUntilMs <= this.#world.queue.nowMs) this.give({ kind: 'tick' })
      this.#tickLater()
    })
  }

  #turnSoon(life: Life): void {
    if (life.turnDue) return
    life.turnDue = true
    const delay = Math.max(this.#world.random.next() * TURN_MS_MAX, life.pausedUntilMs - this.#world.queue.nowMs)
    this.#world.queue.after(delay, () => {
      if (this.life !== life) return
      if (life.pausedUntilMs > this.#world.queue.nowMs) {
        life.turnDue = false
        this.#turnSoon(life)
        return
      }
      this.#turn(life)
    })
  }

  #turn(life: Life): void {
    const world = this.#world
    life.turnDue = false
    // A driver may take what came in any portions; only the order is kept.
    const portion = world.random.next() < 0.7 ? life.events.length : 1 + Math.floor(world.random.next() * life.events.length)
    const events = life.events.splice(0, portion)
    if (life.events.length > 0) this.#turnSoon(life)
    if (world.plan.crashInStepRate > 0 && !world.healing && world.random.next() < world.plan.crashInStepRate) this.#actionsLeft = Math.floor(world.random.next() * 6)
    try {
      this.#mayDie()
      const ready = life.core.step(events, this.nowMs)
      world.tally.steps++
      this.#check(life, ready)
      if (events.some((e) => e.kind === 'compacted')) this.#dropCompacted(life)
      this.#execute(life, ready)
    } catch (error) {
      if (!(error instanceof Death)) throw error
      this.crash('in the midst of a step')
      world.queue.after(downMs(world.random), () => world.revive(this.id))
    } finally {
      this.#actionsLeft = Infinity
    }
  }

  /** Only now that the core does not ask for it any more. */
  #dropCompacted(life: Life): void {
    if (life.compactTo && life.compactTo.index > this.disk.base.index) this.disk.compact(life.compactTo)
    life.compactTo = undefined
  }

  #mayDie(): void {
    if (--this.#actionsLeft < 0) throw new Death()
  }

  #check(life: Life, ready: Ready): void {
    const { checker } = this.#world
    const { core } = life
    const before = life.status
    const after = core.status()
    life.status = after
    const termAt = (index: LogIndex) => core.term(index)
    for (const entry of ready.persist?.entries ?? []) life.unproven.push({ entry, prevTerm: core.term(entry.index - 1) })
    this.#prove(life)
    if (after.role === 'leader' && after.configurationIndex !== before.configurationIndex) this.#world.atDelicateMoment(this.id)
    if (after.vote !== 0 && (after.vote !== before.vote || after.term !== before.term)) this.#world.atDelicateMoment(this.id)
    if (after.role === 'leader' && (before.role !== 'leader' || before.term !== after.term)) {
      this.#world.trace(`${this.id} leads in term ${after.term}`)
      this.#world.atDelicateMoment(this.id)
    }
    // As with its entries: one that leads alone may forget it before it is written.
    if (after.role === 'leader' && life.ledTerm !== after.term && this.disk.hardState.term >= after.term) {
      life.ledTerm = after.term
      checker.elected(after, termAt)
    }
    if (ready.messages.some((m) => m.kind === 'timeoutNow')) this.#world.atDelicateMoment(this.id)
    for (const { member } of ready.forgotten) throw new Violation('memory', `${this.id} thinks that ${member} forgot what it had acknowledged`)
    if (after.term < before.term) throw new Violation('terms', `${this.id} goes back from ${before.term} to ${after.term}`)
    checker.advanced(before, after, termAt)
  }

  /**
   * Takes note of entries that others may have now, or this server may find when it starts again. Before its term is on
   * disk, a server that has the only vote may forget it and begin it again: nobody has heard of it.
   */
  #prove(life: Life): void {
    const { term } = this.disk.hardState
    while (life.unproven[0] && life.unproven[0].entry.term <= term) {
      const { entry, prevTerm } = life.unproven.shift() as (typeof life.unproven)[number]
      this.#world.checker.appended(this.id, entry, prevTerm)
    }
  }

  #execute(life: Life, ready: Ready): void {
    for (const message of ready.messages) {
      this.#mayDie()
      this.#world.send(message)
    }
    if (ready.persist) {
      this.#mayDie()
      this.#persist(life, ready.persist)
    }
    this.#mayDie()
    if (ready.committed.length > 0) this.#apply(life, ready.committed)
    for (const outcome of ready.proposals) this.#proposalOutcome(life, outcome)
    for (const outcome of ready.reads) this.#readOutcome(life, outcome)
    for (const { to, snapshotId } of ready.snapshotsDone) {
      this.#world.trace(`${this.id} is done sending ${snapshotId} to ${to}`)
      if (this.#world.random.next() < 0.5) life.snapshots.delete(snapshotId)
    }
    for (const read of ready.snapshotReads) this.#readSnapshot(life, read)
    for (const write of ready.snapshotWrites) this.#writeSnapshot(life, write)
  }

  // -------------------------------------------------------------- disk

  #persist(life: Life, persist: Persist): void {
    life.unwritten.push(persist)
    this.#syncLater(life)
  }

  /** One sync at a time, for all that waits. */
  #syncLater(life: Life): void {
    const world = this.#world
    if (life.syncing || this.disk.full || life.unwritten.length === 0) return
    life.syncing = true
    const batch = life.unwritten.splice(0)
    for (const persist of batch) this.disk.write(persist)
    const nothing = batch.every((p) => p.nothing)
    world.queue.after(nothing ? 0 : world.random.next() * (world.healing ? Math.min(HEALTHY_SYNC_MS_MAX, world.plan.syncMsMax) : world.plan.syncMsMax), () => {
      if (this.life !== life) return
      if (!nothing && !world.healing && world.random.next() < world.plan.diskFailRate) {
        this.crash('its disk failed')
        world.queue.after(downMs(world.random), () => world.revive(this.id))
        return
      }
      this.#synced(life, batch)
    })
  }

  #synced(life: Life, batch: readonly Persist[]): void {
    const world = this.#world
    if (this.life !== life) return
    // A snapshot takes the state machine's place once what is being applied is done.
    if (life.applying && batch.some((p) => p.snapshot)) {
      world.queue.after(1, () => this.#synced(life, batch))
      return
    }
    life.syncing = false
    this.disk.sync()
    this.#prove(life)
    for (const { snapshot } of batch) {
      if (!snapshot) continue
      life.machine = this.disk.machine
      world.checker.restored(this.id, life.machine)
      world.trace(`${this.id} installs snapshot ${snapshot.id}`)
      this.#answerDue(life)
    }
    let voted = false
    for (const persist of batch) {
      for (const message of persist.messages) {
        voted ||= message.kind === 'voteAnswer' && message.granted
        world.send(message)
      }
    }
    // What it must not forget now.
    if (voted && !world.healing && world.random.next() < world.plan.momentRate / 4) {
      this.crash('after its vote')
      world.queue.after(world.random.next() * 30, () => world.revive(this.id))
      return
    }
    const last = batch.at(-1)
    if (last) this.give({ kind: 'persisted', sequence: last.sequence })
    this.#syncLater(life)
  }

  // -------------------------------------------------------------- state machine

  #apply(life: Life, entries: readonly Entry[]): void {
    const world = this.#world
    life.applying = true
    world.queue.after(world.random.next() * 3, () => {
      if (this.life !== life) return
      life.applying = false
      for (const entry of entries) {
        life.machine = world.checker.applied(this.id, life.machine, entry)
        this.#answerDue(life)
      }
      if (world.random.next() < 0.1) this.#writeBack(life)
      this.give({ kind: 'applied', index: life.machine.index })
    })
  }

  #writeBack(life: Life): void {
    this.disk.machine = life.machine
  }

  /** Clients hear of writes that are applied, and of reads whose index is. */
  #answerDue(life: Life): void {
    const { checker } = this.#world
    const { index } = life.machine
    for (const { proposal, term, seenBefore } of life.writesDue.get(index) ?? []) {
      if (checker.appliedTerm(index) === term) checker.wrote(proposal, index, seenBefore)
      else checker.refused(proposal)
    }
    life.writesDue.delete(index)
    if (life.readsDue.length === 0) return
    life.readsDue = life.readsDue.filter((read) => {
      if (read.index > index) return true
      checker.read(this.id, life.machine, read.seenBefore)
      return false
    })
  }

  #proposalOutcome(life: Life, outcome: ProposalOutcome): void {
    const waiting = life.proposals.get(outcome.id)
    // Changes of members are proposals, too, that no client waits for.
    if (outcome.id >= this.#world.firstChangeId) return
    if (!waiting) throw new Violation('outcomes', `proposal ${outcome.id} has two at ${this.id}`)
    life.proposals.delete(outcome.id)
    if (!outcome.ok) {
      if (outcome.why !== 'unknown') this.#world.checker.refused(outcome.id)
      return
    }
    this.#world.tally.accepted++
    // Applied already: an index is taken once the state machine passes it, so only what is ahead is waited for.
    if (outcome.index <= life.machine.index) {
      if (this.#world.checker.appliedTerm(outcome.index) === outcome.term) this.#world.checker.wrote(outcome.id, outcome.index, waiting.seenBefore)
      return
    }
    const due = life.writesDue.get(outcome.index) ?? []
    due.push({ proposal: outcome.id, term: outcome.term, seenBefore: waiting.seenBefore })
    life.writesDue.set(outcome.index, due)
  }

  #readOutcome(life: Life, outcome: ReadOutcome): void {
    const waiting = life.reads.get(outcome.id)
    if (!waiting) throw new Violation('outcomes', `read ${outcome.id} has two at ${this.id}`)
    life.reads.delete(outcome.id)
    if (!outcome.ok) return
    this.#world.tally.reads++
    if (outcome.index <= life.machine.index) this.#world.checker.read(this.id, life.machine, waiting.seenBefore)
    else life.readsDue.push({ index: outcome.index, seenBefore: waiting.seenBefore })
  }

  // -------------------------------------------------------------- snapshots

  #readSnapshot(life: Life, read: SnapshotRead): void {
    const world = this.#world
    world.queue.after(world.random.next() * 5, () => {
      if (this.life !== life) return
      if ((!world.healing && world.random.next() < 0.03) || life.status.role !== 'leader') {
        this.give({ kind: 'snapshotReadFailed', to: read.to })
        return
      }
      let held = read.snapshotId === undefined ? undefined : life.snapshots.get(read.snapshotId)
      let offsetBytes = read.offsetBytes
      if (!held) {
        const base = life.core.baseAt(life.machine.index)
        const id = `${base.index}-${life.machine.chain}${world.plan.sameSnapshots ? '' : `-${this.id}-${world.tally.steps}`}`
        held = { snapshot: { ...base, id }, bytes: bytesOfMachine(life.machine) }
        life.snapshots.set(id, held)
        offsetBytes = 0
      }
      const data = held.bytes.subarray(offsetBytes, offsetBytes + read.bytesMax)
      this.give({ kind: 'snapshotRead', to: read.to, snapshot: held.snapshot, offsetBytes, data, last: offsetBytes + data.length >= held.bytes.length })
    })
  }

  #writeSnapshot(life: Life, write: SnapshotWrite): void {
    const world = this.#world
    world.queue.after(world.random.next() * world.plan.syncMsMax, () => {
      if (this.life !== life) return
      const { snapshot } = write
      const before = this.disk.partial?.snapshot.id === snapshot.id && write.offsetBytes > 0 ? this.disk.partial.bytes : Buffer.alloc(0)
      if (before.length !== write.offsetBytes) throw new Violation('snapshots', `${this.id} is to write ${snapshot.id} at ${write.offsetBytes}, and has ${before.length}`)
      if (!world.healing && world.random.next() < 0.02) {
        this.disk.partial = undefined
        this.give({ kind: 'snapshotWriteFailed', snapshotId: snapshot.id })
        return
      }
      const bytes = Buffer.concat([before, write.data])
      this.disk.partial = { snapshot, bytes, complete: write.last }
      if (write.last) world.checker.restored(this.id, machineOfBytes(bytes))
      this.give({ kind: 'snapshotWritten', snapshotId: snapshot.id, offsetBytes: bytes.length, complete: write.last })
    })
  }
}

/** Often so short that what others heard from the former life is still true for them. */
export function downMs(random: Random): number {
  return random.next() < 0.5 ? random.next() * 60 : random.next() * 2500
}

/** A turn of the driver takes what came within this time. */
const TURN_MS_MAX = 2
/** Even the slowest disk gets well, or some plans' tiny messages would take minutes to catch up. */
const HEALTHY_SYNC_MS_MAX = 10
