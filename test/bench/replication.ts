/** `node test/bench/replication.ts [SECONDS]`: writes a second at 32 in flight, of 500 bytes, synced: a replica alone, three of them in one process, and the stores on top. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom, systemRandom } from '#base/random.ts'
import { initialConfiguration } from '#server/raft/configuration.ts'
import type { ReplicaNode, StateMachine, Transport } from '#server/replication/contract.ts'
import { openReplica } from '#server/replication/driver/replica.ts'
import { openLevelLog, type LogDatabase } from '#server/replication/log/level-log.ts'
import { MemoryNetwork } from '#server/replication/memory/memory-network.ts'
import { openReplicatedStore } from '#server/replication/machine/open-replicated-store.ts'
import { levelOpener } from '#server/store/open-level.ts'
import type { Store } from '#server/store/store.ts'

const [seconds = 3] = process.argv.slice(2).map(Number)
const IN_FLIGHT = 32
const VALUE = Buffer.alloc(500, 'x')
const root = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'replication-'))

/** Counts what is applied and does nothing with it: the rate of the log alone. */
function countingMachine(): StateMachine {
  let applied = 0
  const none = () => Promise.reject(new Error('no snapshots here'))
  return {
    get applied() { return applied },
    partialSnapshot: undefined,
    apply: async (entries) => { applied = entries.at(-1)?.index ?? applied },
    openSnapshot: none, receive: none, discard: none, install: none,
    close: () => Promise.resolve(),
  }
}

async function rate(name: string, write: (n: number) => Promise<unknown>): Promise<number> {
  let written = 0
  let n = 0
  const run = async (untilMs: number) => {
    while (performance.now() < untilMs) {
      await write(n++)
      written++
    }
  }
  const all = async (ms: number) => {
    const untilMs = performance.now() + ms
    await Promise.all(Array.from({ length: IN_FLIGHT }, () => run(untilMs)))
  }
  await all(500)
  written = 0
  const cpu = process.cpuUsage()
  await all(seconds * 1000)
  const { user, system } = process.cpuUsage(cpu)
  const perSecond = Math.round(written / seconds)
  console.log(`${name.padEnd(44)} ${String(perSecond).padStart(7)}/s  ${((user + system) / written).toFixed(0).padStart(5)} us CPU each`)
  return perSecond
}

async function members(count: number): Promise<{ nodes: ReplicaNode[]; close: () => Promise<void> }> {
  const network = new MemoryNetwork({ clock: systemClock, random: seededRandom(1) })
  const ids = Array.from({ length: count }, (_, i) => i + 1)
  const initial = initialConfiguration(Object.fromEntries(ids.map((id) => [String(id), `memory:${id}`])))
  const databases: LogDatabase[] = []
  const nodes: ReplicaNode[] = []
  for (const id of ids) {
    const db = await levelOpener(join(root, `members-${count}-${id}`))()
    databases.push(db)
    nodes.push(openReplica({ id, storage: await openLevelLog(db, { initial }), machine: countingMachine(), transport: network.transport(id), clock: systemClock, random: systemRandom, log: silentLog }))
  }
  return { nodes, close: async () => { await Promise.all(nodes.map((n) => n.close())); await Promise.all(databases.map((d) => d.close())) } }
}

async function stores(count: number): Promise<{ all: Store[]; nodes: ReplicaNode[]; close: () => Promise<void> }> {
  const network = new MemoryNetwork({ clock: systemClock, random: seededRandom(1) })
  const ids = Array.from({ length: count }, (_, i) => i + 1)
  const initial = initialConfiguration(Object.fromEntries(ids.map((id) => [String(id), `memory:${id}`])))
  const nodes: ReplicaNode[] = []
  const all: Store[] = []
  for (const id of ids) {
    const directory = join(root, `stores-${count}-${id}`)
    const transport: Transport = network.transport(id)
    all.push(await openReplicatedStore({
      open: levelOpener(directory), receivedDirectory: join(directory, 'received'), clock: systemClock, random: systemRandom, log: silentLog,
      async start(machine, db) {
        const node = openReplica({ id, storage: await openLevelLog(db, { initial, stateAt: machine.applied }), machine, transport, clock: systemClock, random: systemRandom, log: silentLog })
        nodes.push(node)
        return node
      },
    }))
  }
  return { all, nodes, close: async () => { await Promise.all(all.map((s) => s.close())) } }
}

async function leaderOf(nodes: readonly ReplicaNode[]): Promise<number> {
  for (;;) {
    const at = nodes.findIndex((n) => n.status().role === 'leader')
    if (at >= 0 && nodes.every((n) => n.status().leader === nodes[at]?.id)) return at
    await systemClock.sleep(20)
  }
}

const put = (store: Store) => (n: number) => store.txn({ compare: [], ops: [{ kind: 'put', key: `/bench/${n % 5000}`, value: VALUE }] })

async function main(): Promise<void> {
  for (const count of [1, 3]) {
    const replicas = await members(count)
    const leader = replicas.nodes[await leaderOf(replicas.nodes)]
    await rate(`${count} replica(s), nothing on top`, () => leader?.propose([VALUE]) ?? Promise.reject(new Error('no leader')))
    await replicas.close()
  }
  for (const count of [1, 3]) {
    const replicated = await stores(count)
    const leader = await leaderOf(replicated.nodes)
    await rate(`${count} replicated store(s), asked of the leader`, put(replicated.all[leader] as Store))
    if (count > 1) await rate(`${count} replicated store(s), asked of a follower`, put(replicated.all[(leader + 1) % count] as Store))
    await replicated.close()
  }
  rmSync(root, { recursive: true })
}
void main()
