/**
 * A seeded world: servers, what happens to them, clients and an administrator. First a bad time by the seed's plan, then
 * all heals, and the cluster must come to work again. Everything follows from the seed; a `Violation` ends it.
 */
import { seededRandom } from '#base/random.ts'
import type { Random } from '#base/random.ts'
import { emptyConfiguration, initialConfiguration, isMember, membersOf } from '../configuration.ts'
import type { Configuration, MemberChange, MemberId, Message } from '../types.ts'
import { Checker, Violation } from './checker.ts'
import { Disk } from './disk.ts'
import { EventQueue } from './event-queue.ts'
import { Network } from './network.ts'
import { makePlan } from './plan.ts'
import type { Plan } from './plan.ts'
import { downMs, Server } from './server.ts'
import type { MakeCore, Surroundings } from './surroundings.ts'

/** Simulated time that things go wrong, and that the healed cluster may take to work again. */
const BAD_MS = 12_000
const HEAL_MS = 15_000
const SERVERS_MAX = 9

export class World implements Surroundings {
  readonly random: Random
  readonly plan: Plan
  readonly queue = new EventQueue()
  readonly checker = new Checker()
  readonly network: Network
  readonly makeCore: MakeCore
  readonly trace: (line: string) => void
  readonly servers: Server[] = []
  readonly firstChangeId = 1_000_000_000
  healing = false
  readonly tally = { steps: 0, accepted: 0, reads: 0 }
  #nextProposal = 1
  #nextChange = this.firstChangeId
  readonly #lost = new Set<MemberId>()

  constructor(seed: number, makeCore: MakeCore, trace: (line: string) => void = () => {}) {
    this.random = seededRandom(seed)
    this.plan = makePlan(this.random)
    this.makeCore = makeCore
    this.trace = (line) => trace(`${this.queue.nowMs.toFixed(0).padStart(6)} ${line}`)
    this.network = new Network(this)
    // A cluster of one, as most begin, or several at once.
    const ids = Array.from({ length: this.plan.servers }, (_, i) => i + 1)
    const configuration = initialConfiguration(Object.fromEntries(ids.map((id) => [String(id), `server-${id}`])))
    for (const id of ids) this.#addServer(id, configuration)
  }

  run(): void {
    this.#schedule()
    this.queue.runUntil(BAD_MS)
    this.#heal()
    this.#mustWorkAgain()
  }

  send(message: Message): void {
    this.network.send(message)
  }

  atDelicateMoment(member: MemberId): void {
    const { random, plan } = this
    const server = this.servers[member - 1]
    if (!server || this.healing || plan.momentRate === 0 || random.next() >= plan.momentRate) return
    const delay = random.next() < 0.3 ? 0 : random.next() * random.next() * 2 * (plan.latencyMsMax + plan.syncMsMax)
    this.queue.after(delay, () => {
      if (this.healing) return
      if (random.next() < 0.6) {
        server.crash('killed at a delicate moment')
        this.queue.after(downMs(random), () => this.revive(member))
        return
      }
      const direction = this.#any(['both', 'out', 'in'] as const)
      const group = new Set([member, ...this.servers.filter(() => random.next() < 0.3).map((s) => s.id)])
      this.trace(`${[...group].join(' ')} cut off at a delicate moment: ${direction}`)
      this.network.partition(group, this.servers.map((s) => s.id), direction)
      this.queue.after(random.next() * 1500, () => this.network.heal())
    })
  }

  deliver(message: Message): void {
    this.servers[message.to - 1]?.give({ kind: 'message', message })
  }

  tellUnreachable(member: MemberId, other: MemberId): void {
    this.servers[member - 1]?.give({ kind: 'unreachable', member: other })
    this.servers[member - 1]?.give({ kind: 'connection', member: other, isThere: false })
  }

  tellReachable(member: MemberId, other: MemberId): void {
    this.servers[member - 1]?.give({ kind: 'connection', member: other, isThere: true })
  }

  revive(member: MemberId): void {
    if (!this.#lost.has(member)) this.servers[member - 1]?.start()
  }

  #addServer(id: MemberId, configuration: Configuration): Server {
    const server = new Server(this, id, new Disk(configuration))
    this.servers.push(server)
    server.start()
    return server
  }

  // -------------------------------------------------------------- the bad time

  #schedule(): void {
    const { plan } = this
    this.#every(plan.proposalMs, () => this.#propose(this.#any(this.servers)))
    this.#every(plan.readMs, () => this.#reader().read(this.#nextProposal++))
    this.#every(plan.compactMs, () => this.#any(this.servers).compact())
    this.#every(plan.transferMs, () => this.#any(this.servers).give({ kind: 'transfer', to: this.random.next() < 0.3 ? 0 : this.#any(this.servers).id }))
    this.#every(plan.transferMs * 3, () => this.#any(this.servers).give({ kind: 'campaign' }))
    this.#every(plan.changeMs, () => this.#changeMembers())
    this.#every(plan.partitionMs, () => this.#partition())
    this.#every(plan.pauseMs, () => (this.random.next() < 0.5 ? (this.#leader() ?? this.#any(this.servers)) : this.#any(this.servers)).pause(this.random.next() * this.random.next() * 3000))
    this.#every(plan.crashMs, () => this.#crash())
    this.#every(plan.diskFullMs, () => {
      const server = this.#any(this.servers)
      this.trace(`the disk of ${server.id} is full`)
      server.setDiskFull(true)
      this.queue.after(this.random.next() * 4000, () => server.setDiskFull(false))
    })
    this.#every(plan.lostDiskMs, () => this.#loseDisk())
    if (plan.clockJumps) this.#every(1000, () => this.#any(this.servers).jump((this.random.next() - 0.4) * 20_000))
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

  /** Often one that believes to lead: only these can answer wrongly by themselves. */
  #reader(): Server {
    const leaders = this.servers.filter((s) => s.life?.status.role === 'leader')
    return leaders.length > 0 && this.random.next() < 0.6 ? this.#any(leaders) : this.#any(this.servers)
  }

  #propose(server: Server): number {
    const proposal = this.#nextProposal++
    const data = Buffer.alloc(4 + Math.floor(this.random.next() * 40))
    data.writeUInt32BE(proposal)
    server.propose(proposal, data)
    return proposal
  }

  #partition(): void {
    if (this.random.next() < 0.4) {
      this.trace('all links are whole')
      this.network.heal()
      return
    }
    const leader = this.#leader()
    const alone = leader && this.random.next() < 0.4
    const group = new Set(alone ? [leader.id] : this.servers.filter(() => this.random.next() < 0.4).map((s) => s.id))
    const direction = this.#any(['both', 'both', 'out', 'in'] as const)
    this.trace(`links of ${[...group].join(' ')} are cut: ${direction}`)
    this.network.partition(group, this.servers.map((s) => s.id), direction)
  }

  #crash(): void {
    const victims = this.random.next() < 0.15 ? this.servers : [this.random.next() < 0.4 ? (this.#leader() ?? this.#any(this.servers)) : this.#any(this.servers)]
    for (const server of victims) {
      server.crash('killed')
      this.queue.after(downMs(this.random), () => this.revive(server.id))
    }
  }

  /** A server's disk is gone for good, and with it its part in the cluster; never so many that a quorum may be lost. */
  #loseDisk(): void {
    const configuration = this.#newestConfiguration()
    const server = this.#any(this.servers)
    const lostVoters = (list: readonly MemberId[]) => list.filter((m) => this.#lost.has(m) || m === server.id).length
    const harmless = [configuration.voters, configuration.outgoing].every((list) => list.length === 0 || lostVoters(list) * 2 < list.length)
    // Another configuration may still come into force: only one that is known to all is safe to judge by.
    const settled = this.servers.every((s) => !s.life || s.life.status.configurationIndex === this.#newestConfigurationIndex())
    if (!harmless || !settled || this.#lost.size > 0 || this.plan.changeMs < Infinity || this.servers.some((s) => !s.life)) return
    this.trace(`${server.id} loses its disk`)
    this.#lost.add(server.id)
    server.crash('its disk is lost')
  }

  #leader(): Server | undefined {
    let best: Server | undefined
    for (const server of this.servers) if (server.life?.status.role === 'leader' && (!best?.life || server.life.status.term > best.life.status.term)) best = server
    return best
  }

  #newestConfigurationIndex(): number {
    return Math.max(0, ...this.servers.map((s) => s.life?.status.configurationIndex ?? 0))
  }

  #newestConfiguration(): Configuration {
    const newest = this.#newestConfigurationIndex()
    return this.servers.find((s) => s.life?.status.configurationIndex === newest)?.life?.status.configuration ?? emptyConfiguration
  }

  #changeMembers(): void {
    const server = this.#leader() ?? this.#any(this.servers)
    const configuration = server.life?.status.configuration
    if (!configuration) return
    const members = membersOf(configuration)
    const changes: MemberChange[] = []
    for (let i = 0; i < 1 + this.random.next() * 3; i++) {
      const what = this.plan.onlyLearners ? 0 : this.random.next()
      if (what < 0.4 && this.servers.length < SERVERS_MAX) {
        const added = this.#addServer(this.servers.length + 1, emptyConfiguration)
        changes.push({ kind: !this.plan.onlyLearners && this.random.next() < 0.8 ? 'addVoter' : 'addLearner', member: added.id, address: `server-${added.id}` })
      } else if (what < 0.6 && members.length > 0) {
        changes.push({ kind: this.random.next() < 0.6 ? 'addVoter' : 'addLearner', member: this.#any(members), address: 'moved' })
      } else if (members.length > 1 && this.random.next() < 0.8) changes.push({ kind: 'remove', member: this.#any(members) })
    }
    this.trace(`${server.id} is to change members: ${changes.map((c) => `${c.kind} ${c.member}`).join(', ')}`)
    server.give({ kind: 'changeMembers', id: this.#nextChange++, changes })
  }

  // -------------------------------------------------------------- afterwards

  #heal(): void {
    this.trace('all heals')
    this.healing = true
    this.network.heal()
    for (const server of this.servers) {
      server.setDiskFull(false)
      server.pause(0)
      this.revive(server.id)
    }
  }

  /** With all servers up and nothing in the way, writes and reads come through, and all members get everything. */
  #mustWorkAgain(): void {
    const from = this.queue.nowMs
    let asked = 0
    while (this.queue.nowMs < from + HEAL_MS) {
      this.queue.runUntil(this.queue.nowMs + 250)
      const leader = this.#leader()
      if (!leader?.life) continue
      const { status } = leader.life
      // Its last configuration is the one that counts: all its members, and no joint one left.
      const settled = status.configuration.outgoing.length === 0 && status.configuration.joining.every((m) => this.#lost.has(m)) && status.commit === status.lastIndex
      const members = this.servers.filter((s) => isMember(status.configuration, s.id) && !this.#lost.has(s.id))
      const even = members.every((s) => s.life?.machine.index === status.commit)
      if (settled && even && asked >= 2 && this.checker.seen >= this.#mustSee) {
        if (this.servers.some((s) => s.oldestWaitMs() > 2 * this.plan.options.electionTicks * this.plan.options.tickMs / (1 - this.plan.drift) + 500)) continue
        return
      }
      if (asked < 2 || this.checker.seen < this.#mustSee) {
        asked++
        this.#mustSee = status.commit + 1
        for (const server of members) {
          this.#propose(server)
          server.read(this.#nextProposal++)
        }
      }
    }
    const state = this.servers.map((s) => (s.life ? `${s.id}: ${s.life.status.role} term ${s.life.status.term} commit ${s.life.status.commit} of ${s.life.status.lastIndex}, state ${s.life.machine.index}, waits ${s.oldestWaitMs().toFixed(0)} ms, members ${membersOf(s.life.status.configuration).join(' ')}` : `${s.id}: down`))
    throw new Violation('liveness', `after ${HEAL_MS} ms without any fault the cluster does not work again\n  ${state.join('\n  ')}`)
  }

  #mustSee = 1
}
