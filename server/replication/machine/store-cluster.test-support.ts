/** Servers with their stores in one process: real databases in a temporary folder, real drivers, a network in memory. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock, type Clock } from '#base/clock.ts'
import { assert } from '#base/errors.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import type { HistoryLimits } from '#server/store/history.ts'
import { levelOpener } from '#server/store/open-level.ts'
import { emptyConfiguration, initialConfiguration } from '../../raft/configuration.ts'
import type { Configuration, MemberId } from '../../raft/types.ts'
import { openReplica, type ReplicaOptions } from '../driver/replica.ts'
import { openLevelLog } from '../log/level-log.ts'
import { MemoryNetwork } from '../memory/memory-network.ts'
import { copyAsKilled } from './killed-copy.test-support.ts'
import { openReplicatedStore } from './open-replicated-store.ts'
import type { ReplicatedStore } from './replicated-store.ts'

export interface StoreMember { readonly id: MemberId; directory: string; readonly initial: Configuration; store: ReplicatedStore | undefined }

export interface StoreClusterOptions {
  members: number
  seed?: number
  clock?: Clock
  options?: Partial<ReplicaOptions>
  history?: HistoryLimits
  /** Default 8 s: elections of tests are quick, but the machine may be busy. */
  leaderlessMsMax?: number
}

export class StoreCluster {
  readonly network: MemoryNetwork
  readonly members: StoreMember[] = []
  readonly directory: string
  readonly #options: StoreClusterOptions
  readonly #clock: Clock
  readonly #seed: number
  #starts = 0

  constructor(options: StoreClusterOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#seed = options.seed ?? 1
    this.directory = mkdtempSync(join(tmpdir(), 'skiff-cluster-'))
    this.network = new MemoryNetwork({ clock: this.#clock, random: seededRandom(this.#seed) })
    const ids = Array.from({ length: options.members }, (_, i) => i + 1)
    const initial = initialConfiguration(Object.fromEntries(ids.map((id) => [String(id), `memory:${id}`])))
    for (const id of ids) this.members.push({ id, directory: join(this.directory, String(id)), initial, store: undefined })
  }

  get up(): ReplicatedStore[] { return this.members.flatMap((m) => (m.store ? [m.store] : [])) }

  /** One that waits to be added. */
  addMember(): StoreMember {
    const id = this.members.length + 1
    const member: StoreMember = { id, directory: join(this.directory, String(id)), initial: emptyConfiguration, store: undefined }
    this.members.push(member)
    return member
  }

  member(id: MemberId): StoreMember {
    const found = this.members.find((m) => m.id === id)
    assert(found, `no member ${id}`)
    return found
  }

  async start(member: StoreMember): Promise<ReplicatedStore> {
    const { options = {}, history, leaderlessMsMax = 8_000 } = this.#options
    const clock = this.#clock
    const random = seededRandom(this.#seed * 1000 + member.id + 100_000 * this.#starts++)
    const store = await openReplicatedStore({
      open: levelOpener(join(member.directory, 'db')), receivedDirectory: join(member.directory, 'received'), clock, random, log: silentLog, ...(history && { history }), leaderlessMsMax,
      start: async (machine, db) => openReplica({
        id: member.id, storage: await openLevelLog(db, { initial: member.initial, stateAt: machine.applied }), machine, transport: this.network.transport(member.id), clock, random, log: silentLog,
        options: { ...options, raft: { tickMs: 10, electionTicks: 10, ...options.raft } },
      }),
    })
    member.store = store
    return store
  }

  /** Starts all; the first one leads. */
  async startAll(): Promise<void> {
    const [first, ...others] = this.members
    assert(first, 'a cluster has members')
    const store = await this.start(first)
    await Promise.all(others.map((m) => this.start(m)))
    store.node.campaign()
    await this.leader()
  }

  /** Resolves when one leads, takes writes, and is followed by all that are up. */
  async leader(msMax = 60_000): Promise<StoreMember> {
    const untilMs = this.#clock.monotonicMs() + msMax
    for (;;) {
      const up = this.members.filter((m) => m.store)
      const leader = up.find((m) => m.store?.node.status().role === 'leader')
      if (leader && up.every((m) => m.store?.node.status().leader === leader.id)) return leader
      assert(this.#clock.monotonicMs() < untilMs, `no leader within ${msMax} ms`)
      await this.#clock.sleep(2)
    }
  }

  /** As kill -9 does: what is in the files at this moment is what the next start finds, and nothing more is said. */
  async crash(member: StoreMember): Promise<void> {
    const { store } = member
    if (!store) return
    this.network.kill(member.id)
    member.store = undefined
    const directory = `${member.directory}+`
    copyAsKilled(member.directory, directory)
    member.directory = directory
    await store.close()
  }

  async close(): Promise<void> {
    await Promise.all(this.up.map((s) => s.close()))
    rmSync(this.directory, { recursive: true, force: true })
  }
}
