/** Members in one process that outlive their processes: each can be killed and started again from what it keeps. */
import { systemClock, type Clock } from '#base/clock.ts'
import { assert } from '#base/errors.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { emptyConfiguration, initialConfiguration } from '../../raft/configuration.ts'
import type { MemberId } from '../../raft/types.ts'
import type { LogStorage, ReplicaNode, StateMachine } from '../contract.ts'
import { openReplica, type ReplicaOptions } from '../driver/replica.ts'
import { emptyLogState, MemoryLog, type MemoryLogState } from '../log/memory-log.ts'
import { emptyMachineState, MemoryMachine, type MemoryMachineState } from './memory-machine.ts'
import { MemoryNetwork } from './memory-network.ts'

export interface ClusterMember {
  readonly id: MemberId
  readonly log: MemoryLogState
  readonly machine: MemoryMachineState
  node: ReplicaNode | undefined
}

export interface MemoryClusterOptions {
  readonly members: number
  readonly seed?: number
  readonly clock?: Clock
  readonly options?: Partial<ReplicaOptions>
  /** Other than in memory. */
  readonly openParts?: (member: ClusterMember) => Promise<{ storage: LogStorage; machine: StateMachine }>
}

/** Quick elections for tests; otherwise as in earnest. */
const TEST_RAFT = { tickMs: 10, electionTicks: 10 }

export class MemoryCluster {
  readonly network: MemoryNetwork
  readonly members: ClusterMember[] = []
  readonly #options: MemoryClusterOptions
  readonly #clock: Clock

  constructor(options: MemoryClusterOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.network = new MemoryNetwork({ clock: this.#clock, random: seededRandom(options.seed ?? 1) })
    const ids = Array.from({ length: options.members }, (_, i) => i + 1)
    const configuration = initialConfiguration(Object.fromEntries(ids.map((id) => [String(id), `memory:${id}`])))
    for (const id of ids) this.members.push({ id, log: emptyLogState(configuration), machine: emptyMachineState(), node: undefined })
  }

  /** Those that run. */
  get nodes(): ReplicaNode[] {
    return this.members.flatMap((m) => (m.node ? [m.node] : []))
  }

  /** One that waits to be added. */
  addMember(): ClusterMember {
    const member: ClusterMember = { id: this.members.length + 1, log: emptyLogState(emptyConfiguration), machine: emptyMachineState(), node: undefined }
    this.members.push(member)
    return member
  }

  async start(member: ClusterMember): Promise<ReplicaNode> {
    const { options = {}, openParts = openMemoryParts, seed = 1 } = this.#options
    const parts = await openParts(member)
    const node = openReplica({ id: member.id, ...parts, transport: this.network.transport(member.id), clock: this.#clock, random: seededRandom(seed * 1000 + member.id), log: silentLog, options: { closeMsMax: 500, ...options, raft: { ...TEST_RAFT, ...options.raft } } })
    member.node = node
    return node
  }

  async startAll(): Promise<void> {
    for (const member of this.members) await this.start(member)
  }

  /** Resolves when one of them leads and is followed by all others that are up. */
  async leader(msMax = 60_000): Promise<ReplicaNode> {
    const untilMs = this.#clock.monotonicMs() + msMax
    for (;;) {
      const up = this.nodes
      const leader = up.find((n) => n.status().role === 'leader')
      if (leader && up.every((n) => n.status().leader === leader.id)) return leader
      assert(this.#clock.monotonicMs() < untilMs, `no leader within ${msMax} ms`)
      await this.#clock.sleep(2)
    }
  }

  member(id: MemberId): ClusterMember {
    const found = this.members.find((m) => m.id === id)
    assert(found, `no member ${id}`)
    return found
  }

  /** As kill -9 does; with memory, all that was written stays. */
  async kill(member: ClusterMember): Promise<void> {
    this.network.kill(member.id)
    const { node } = member
    member.node = undefined
    await node?.close()
  }

  /** As SIGTERM does. */
  async stop(member: ClusterMember): Promise<void> {
    await member.node?.close()
    member.node = undefined
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((n) => n.close()))
  }
}

function openMemoryParts(member: ClusterMember): Promise<{ storage: LogStorage; machine: StateMachine }> {
  return Promise.resolve({ storage: new MemoryLog(member.log), machine: new MemoryMachine(member.machine) })
}
