/**
 * A seeded world of real drivers: a bad time by the seed's plan, then all heals, and the cluster must come to work again.
 * Everything follows from the seed: between two events all promises settle, and nothing else is asynchronous.
 */
import { asError } from '#base/errors.ts'
import { seededRandom, type Random } from '#base/random.ts'
import { emptyConfiguration, initialConfiguration, isMember, membersOf } from '../../../raft/configuration.ts'
import { Checker, Violation } from '../../../raft/sim/checker.ts'
import { Disk } from '../../../raft/sim/disk.ts'
import { EventQueue } from '../../../raft/sim/event-queue.ts'
import type { Configuration, MemberChange, MemberId } from '../../../raft/types.ts'
import { MemoryNetwork } from '../../memory/memory-network.ts'
import { openReplica } from '../replica.ts'
import { makePlan, type Plan } from './plan.ts'
import { Server } from './server.ts'
import type { OpenReplica, Surroundings } from './surroundings.ts'

const BAD_MS = 6_000
const HEAL_MS = 20_000
const SERVERS_MAX = 7
/** Even the slowest disk and network get well. */
const HEALTHY_MS_MAX = 5

export class World implements Surroundings {
  readonly openReplica: OpenReplica
  readonly random: Random
  readonly plan: Plan
  readonly queue = new EventQueue()
  readonly checker = new Checker()
  readonly network: MemoryNetwork
  readonly trace: (line: string) => void
  readonly servers: Server[] = []
  readonly tally = { messages: 0, wrote: 0, read: 0, installed: 0, changed: 0 }
  healing = false
  #violation: Error | undefined
  #nextProposal = 1

  constructor(seed: number, trace: (line: string) => void = () => {}, open: OpenReplica = openReplica) {
    this.openReplica = open
    this.random = seededRandom(seed)
    this.plan = makePlan(this.random)
    this.trace = (line) => trace(`${this.queue.nowMs.toFixed(1).padStart(8)} ${line}`)
    const { queue, plan } = this
    const monotonicMs = () => queue.nowMs
    this.network = new MemoryNetwork({
      clock: { nowMs: monotonicMs, monotonicMs, after: (ms, run) => { queue.after(ms, run); return () => {} }, sleep: (ms) => new Promise((resolve) => queue.after(ms, resolve)) },
      random: this.random,
      latencyMsMax: plan.latencyMsMax,
      soon: (deliver) => queue.after(0, deliver),
    })
    this.network.lossRate = plan.lossRate
    const ids = Array.from({ length: plan.servers }, (_, i) => i + 1)
    const configuration = initialConfiguration(Object.fromEntries(ids.map((id) => [String(id), `server-${id}`])))
    for (const id of ids) this.#addServer(id, configuration)
  }

  /** Throws what went wrong. */
  async run(): Promise<void> {
    this.#schedule()
    await this.#runUntil(BAD_MS)
    this.#heal()
    await this.#mustWorkAgain()
  }

  violated(error: unknown): void {
    this.#violation ??= asError(error)
  }

  check<T>(run: () => T): T {
    try {
      return run()
    } catch (error) {
      this.violated(error)
      throw error
    }
  }

  happens(rate: number): boolean {
    return !this.healing && rate > 0 && this.random.next() < rate
  }

  get syncMsMax(): number {
    return this.healing ? Math.min(HEALTHY_MS_MAX, this.plan.syncMsMax) : this.plan.syncMsMax
  }

  downMs(): number {
    return this.random.next() < 0.5 ? this.random.next() * 60 : this.random.next() * 2000
  }

  revive(member: MemberId): void {
    this.servers[member - 1]?.start()
  }

  async #runUntil(untilMs: number): Promise<void> {
    while (this.queue.runNext(untilMs)) {
      await new Promise<void>((settled) => setImmediate(settled))
      if (this.#violation) throw this.#violation
    }
  }

  #addServer(id: MemberId, configuration: Configuration): Server {
    const server = new Server(this, id, new Disk(configuration))
    this.servers.push(server)
    server.start()
    return server
  }

  // -------------------------------------------------------------- the bad time

  #schedule(): void {
    const { plan, random } = this
    this.#every(plan.proposalMs, () => this.#any(this.servers).propose(this.#proposals()))
    this.#every(plan.readMs, () => this.#any(this.servers).read())
    this.#every(plan.partitionMs, () => {
      this.network.heal()
      if (random.next() < 0.3) return
      const group = new Set(this.servers.filter(() => random.next() < 0.4).map((s) => s.id))
      const direction = this.#any(['both', 'both', 'out', 'in'] as const)
      this.trace(`links of ${[...group].join(' ')} are cut: ${direction}`)
      this.network.partition(group, direction)
    })
    this.#every(plan.pauseMs, () => {
      const server = random.next() < 0.5 ? (this.#leader() ?? this.#any(this.servers)) : this.#any(this.servers)
      server.pausedUntilMs = this.queue.nowMs + random.next() * 1500
    })
    this.#every(plan.diskFullMs, () => {
      const { disk, id } = this.#any(this.servers)
      this.trace(`the disk of ${id} is full`)
      disk.full = true
      this.queue.after(random.next() * 3000, () => { disk.full = false })
    })
    this.#every(plan.closeMs, () => this.#any(this.servers).close())
    this.#every(plan.transferMs, () => this.#any(this.servers).life?.node?.transfer(random.next() < 0.3 ? 0 : this.#any(this.servers).id))
    this.#every(plan.changeMs, () => this.#changeMembers())
  }

  #proposals(): number[] {
    return Array.from({ length: this.random.next() < 0.2 ? 1 + Math.floor(this.random.next() * 5) : 1 }, () => this.#nextProposal++)
  }

  #every(meanMs: number, happen: () => void): void {
    if (meanMs === Infinity) return
    const again = () => this.queue.after(meanMs * 2 * this.random.next(), () => {
      if (this.healing) return
      happen()
      again()
    })
    again()
  }

  #any<T>(from: readonly T[]): T {
    return from[Math.floor(this.random.next() * from.length)] as T
  }

  #leader(): Server | undefined {
    let best: Server | undefined
    let bestTerm = 0
    for (const server of this.servers) {
      const status = server.life?.node?.status()
      if (status?.role === 'leader' && status.term > bestTerm) [best, bestTerm] = [server, status.term]
    }
    return best
  }

  #changeMembers(): void {
    const server = this.#leader()
    const node = server?.life?.node
    if (!node) return
    const members = membersOf(node.status().configuration)
    const change = this.#change(members)
    this.trace(`${server.id} is to change members: ${change.kind} ${change.member}`)
    node.changeMembers([change]).then(() => {
      this.tally.changed++
      const { configuration } = node.status()
      if (configuration.outgoing.length > 0) this.violated(new Violation('outcomes', `${server.id} says that members are changed while the change is under way`))
    }, () => undefined)
  }

  #change(members: readonly MemberId[]): MemberChange {
    if ((this.random.next() < 0.6 || members.length === 1) && this.servers.length < SERVERS_MAX) {
      const added = this.#addServer(this.servers.length + 1, emptyConfiguration)
      return { kind: this.random.next() < 0.7 ? 'addVoter' : 'addLearner', member: added.id, address: `server-${added.id}` }
    }
    return this.random.next() < 0.3 ? { kind: 'addVoter', member: this.#any(members), address: 'moved' } : { kind: 'remove', member: this.#any(members) }
  }

  // -------------------------------------------------------------- afterwards

  #heal(): void {
    this.trace('all heals')
    this.healing = true
    this.network.heal()
    this.network.lossRate = 0
    this.network.latencyMsMax = Math.min(HEALTHY_MS_MAX, this.plan.latencyMsMax)
    for (const server of this.servers) {
      server.disk.full = false
      server.pausedUntilMs = 0
      if (!server.life) server.start()
    }
  }

  /** Writes and reads come through, all members get everything, no call waits for ever, and nothing is left open. */
  async #mustWorkAgain(): Promise<void> {
    const untilMs = this.queue.nowMs + HEAL_MS
    let mustSee = Infinity
    while (this.queue.nowMs < untilMs) {
      await this.#runUntil(this.queue.nowMs + 250)
      const status = this.#leader()?.life?.node?.status()
      if (!status) continue
      const members = this.servers.filter((s) => isMember(status.configuration, s.id))
      const settled = status.configuration.outgoing.length === 0 && status.configuration.joining.length === 0 && status.commit === status.lastIndex
      const even = members.every((s) => s.life?.machine.index === status.commit)
      const tidy = this.servers.every((s) => s.oldestWaitMs() < WAIT_MS_MAX && (s.life?.openSources ?? 0) === 0)
      if (settled && even && tidy && this.checker.seen >= mustSee) return
      if (this.checker.seen < mustSee && (mustSee === Infinity || settled)) {
        mustSee = status.commit + 1
        for (const server of members) {
          server.propose([this.#nextProposal++])
          server.read()
        }
      }
    }
    const state = this.servers.map((s) => {
      const status = s.life?.node?.status()
      return status ? `${s.id}: ${status.role} term ${status.term} commit ${status.commit} of ${status.lastIndex}, state ${s.life?.machine.index}, waits ${s.oldestWaitMs().toFixed(0)} ms, ${s.life?.openSources} open snapshots, members ${membersOf(status.configuration).join(' ')}` : `${s.id}: down`
    })
    throw new Violation('liveness', `after ${HEAL_MS} ms without any fault the cluster does not work again\n  ${state.join('\n  ')}`)
  }
}

/** Two election timeouts and what a restart and a slow disk take. */
const WAIT_MS_MAX = 4_000
