/**
 * A server of the simulated world: the real driver on a simulated disk, state machine, network and clock. Wherever the
 * driver waits for one of them its process may die; what it left behind goes on as a ghost that nothing listens to.
 */
import type { Clock } from '#base/clock.ts'
import { hasCode } from '#base/errors.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { Raft } from '../../../raft/raft.ts'
import { Violation } from '../../../raft/sim/checker.ts'
import type { Disk } from '../../../raft/sim/disk.ts'
import type { MemberId } from '../../../raft/types.ts'
import type { ReplicaNode } from '../../contract.ts'
import { WatchedCore } from './watched-core.ts'
import { MortalTransport } from './mortal-transport.ts'
import { SimLog } from './sim-log.ts'
import { SimMachine } from './sim-machine.ts'
import { Life, type Host, type Surroundings } from './surroundings.ts'

export class Server implements Host {
  readonly id: MemberId
  readonly disk: Disk
  life: Life | undefined
  pausedUntilMs = 0
  readonly #world: Surroundings
  readonly #rate: number
  readonly #offsetMs: number
  #nextCall = 1

  constructor(world: Surroundings, id: MemberId, disk: Disk) {
    this.#world = world
    this.id = id
    this.disk = disk
    this.#rate = 1 + (world.random.next() * 2 - 1) * world.plan.drift
    this.#offsetMs = world.random.next() * 1e6
    world.checker.disks.set(id, disk)
  }

  start(): void {
    if (this.life) return
    const world = this.#world
    const { plan, random } = world
    const life = new Life(this.disk.machine)
    this.life = life
    world.checker.restored(this.id, this.disk.machine)
    world.trace(`${this.id} starts with term ${this.disk.hardState.term}, log ${this.disk.base.index} to ${this.disk.lastIndex}, state ${this.disk.machine.index}`)
    const node = world.openReplica({
      id: this.id,
      storage: new SimLog(world, this, life),
      machine: new SimMachine(world, this, life),
      transport: new MortalTransport(world.network.transport(this.id), world, this, life),
      clock: this.#clock(life),
      random: seededRandom(Math.floor(random.next() * 2 ** 32)),
      log: silentLog,
      options: {
        raft: plan.raft,
        logBytesMax: plan.logBytesMax,
        logBytesKept: plan.logBytesMax / 2,
        aloneLogBytesMax: plan.logBytesMax,
        soon: (turn) => this.later(life, random.next() * TURN_MS_MAX, turn),
        makeCore: (options, recovered, reader, coreRandom, nowMs) => new WatchedCore(new Raft(options, recovered, reader, coreRandom, nowMs), this.disk, world.checker, (error) => { if (!life.isDead) world.violated(error) }),
      },
    })
    life.node = node
    node.failed.catch((error: unknown) => {
      if (life.isDead) return
      if (!hasCode(error, 'SIM_DISK_FAILED')) world.violated(error)
      this.die(life, 'its disk failed')
    })
  }

  /** The process ends here and now: nothing that its driver still does has any effect. */
  die(life: Life, why: string): void {
    if (life.isDead) return
    const world = this.#world
    world.trace(`${this.id} dies: ${why}`)
    life.isDead = true
    this.life = undefined
    world.network.kill(this.id)
    try {
      this.disk.crash(world.random)
    } catch (error) {
      world.violated(error)
    }
    world.queue.after(world.downMs(), () => world.revive(this.id))
  }

  /** As on SIGTERM; another one starts after it. */
  close(): void {
    const { life } = this
    if (!life?.node || life.isClosing) return
    life.isClosing = true
    this.#world.trace(`${this.id} is told to stop`)
    life.node.close().then(() => {
      if (life.isDead) return
      if (life.openSources > 0) this.#world.violated(new Violation('leaks', `${this.id} stopped with ${life.openSources} open snapshots`))
      this.die(life, 'it stopped')
    }, (error: unknown) => { if (!life.isDead) this.#world.violated(error) })
  }

  propose(proposals: readonly number[]): void {
    const { life } = this
    const { checker, tally } = this.#world
    const seenBefore = checker.seen
    const data = proposals.map((p) => {
      const bytes = Buffer.alloc(4 + (p % 40))
      bytes.writeUInt32BE(p)
      return bytes
    })
    this.#call(life, (node) => node.propose(data), ({ index, term }) => {
      for (let i = 0; i < proposals.length; i++) {
        if (checker.appliedTerm(index + i) !== term) throw new Violation('outcomes', `${this.id} says that ${index + i} has term ${term}`)
        if ((life?.machine.index ?? 0) < index + i) throw new Violation('outcomes', `${this.id} says that ${index + i} is made before it has applied it`)
        checker.wrote(proposals[i] as number, index + i, seenBefore)
      }
      tally.wrote++
    }, (error) => {
      if (hasCode(error, 'RAFT_UNKNOWN')) return
      if (!NOT_DONE.some((code) => hasCode(error, code))) throw error
      for (const p of proposals) checker.refused(p)
    })
  }

  read(): void {
    const { life } = this
    const { checker, tally } = this.#world
    const seenBefore = checker.seen
    this.#call(life, (node) => node.readBarrier(), (index) => {
      if (!life) return
      if (life.machine.index < index) throw new Violation('outcomes', `${this.id} lets a read through at ${index} with state ${life.machine.index}`)
      checker.read(this.id, life.machine, seenBefore)
      tally.read++
    }, (error) => {
      if (!['RAFT_NO_LEADER', 'RAFT_OVERLOADED', 'RAFT_STOPPED', 'RAFT_TRANSFERRING', 'RAFT_CHANGING', 'DISK_FULL'].some((code) => hasCode(error, code))) throw error
    })
  }

  /** The oldest call without an outcome. */
  oldestWaitMs(): number {
    return Math.max(0, ...Array.from(this.life?.waiting.values() ?? [], (sinceMs) => this.#world.queue.nowMs - sinceMs))
  }

  later(life: Life, ms: number, run: () => void): void {
    const { queue } = this.#world
    queue.after(ms, () => {
      if (life.isDead) return
      const pausedMs = this.pausedUntilMs - queue.nowMs
      if (pausedMs > 0) this.later(life, pausedMs, run)
      else run()
    })
  }

  wait(life: Life, msMax: number): Promise<void> {
    const { random } = this.#world
    this.mayDie(life)
    return new Promise((resolve) => this.later(life, random.next() * msMax, () => {
      this.mayDie(life)
      if (!life.isDead) resolve()
    }))
  }

  mayDie(life: Life): void {
    const { plan, healing, random } = this.#world
    if (!healing && plan.crashRate > 0 && random.next() < plan.crashRate) this.die(life, 'killed')
  }

  #call<T>(life: Life | undefined, ask: (node: ReplicaNode) => Promise<T>, done: (value: T) => void, refused: (error: unknown) => void): void {
    if (!life?.node) return
    const call = this.#nextCall++
    life.waiting.set(call, this.#world.queue.nowMs)
    const end = (check: () => void) => {
      life.waiting.delete(call)
      if (life.isDead) return
      try {
        check()
      } catch (error) {
        this.#world.violated(error)
      }
    }
    ask(life.node).then((value) => end(() => done(value)), (error: unknown) => end(() => refused(error)))
  }

  #clock(life: Life): Clock {
    const { queue } = this.#world
    const nowMs = () => this.#offsetMs + queue.nowMs * this.#rate
    const after = (ms: number, run: () => void) => {
      let cancelled = false
      this.later(life, ms / this.#rate, () => { if (!cancelled) run() })
      return () => { cancelled = true }
    }
    return {
      nowMs,
      monotonicMs: nowMs,
      after,
      sleep: (ms, signal) => new Promise((resolve, reject) => {
        const cancel = after(ms, resolve)
        signal?.addEventListener('abort', () => {
          cancel()
          reject(new Error('aborted'))
        }, { once: true })
      }),
    }
  }
}

const NOT_DONE = ['RAFT_LOST', 'RAFT_NO_LEADER', 'RAFT_TRANSFERRING', 'RAFT_OVERLOADED', 'RAFT_STOPPED', 'DISK_FULL']
/** A turn takes what came within this time. */
const TURN_MS_MAX = 2
