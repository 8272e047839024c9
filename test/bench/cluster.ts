/** Three servers: writes beside those of one server and of etcd, how long a lost leader is felt, what they write at rest. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { SKIFF } from '../whole/one-host.ts'
import { skiffPids, waitForNamespace } from './cluster-figures.ts'
import { rate } from './api-load.ts'
import { limitCpu } from './cpu-share.ts'
import { ETCD_MISSING, etcdPids, startEtcd } from './etcd.ts'
import { hostAt, killLeaders, url, watchWrites } from './failover.ts'
import { percentile, type Figure, type Measurement } from './figure.ts'
import { askOnSwitch } from './inside.ts'
import type { Writes } from './inside/writes.ts'
import { usageOf } from './process-usage.ts'
import { startStoreMembers } from './store-members.ts'

const SERVERS = 3
const IN_FLIGHT = 32
/** A ConfigMap of 1 kB as it is stored, with its key. */
const VALUE_BYTES = 1_200
/** What each server and each member of etcd gets of a processor while writes are measured: as if each had a machine of its own. */
const CPU_SHARE = 0.4
const MEMBER_PORT = 7000
/** Memory's limits of the binary (scripts/build.ts). */
const SERVER_FLAGS = ['--max-semi-space-size=4', '--heap-growing-percent=50']
const KILLS = { quick: 8, full: 50 }
/** Starting up is not resting: what it wrote goes to disk within a minute. */
const SETTLE_MS = 120_000
const IDLE_MS = { quick: 60_000, full: 600_000 }

const serversOnly = (servers: number) => Cluster.create({ hosts: servers, servers, serverFlags: ['--disable-agent'], waitForNodes: false })

export const cluster: Measurement = {
  name: 'cluster',
  about: 'three servers: writes at 32 in flight beside one server and etcd, each on a part of a processor; 50 leaders killed; bytes written at rest',
  async run({ quick }) {
    const how = quick ? 'quick' : 'full'
    const count = quick ? 1_000 : 3_000
    const one = await writesOfOne(count)
    const { figures, failoverMs } = await writesOfThree(count, one, KILLS[how])
    return [
      rate('one server: create ConfigMap at 32', one.all, undefined, undefined, latencyOf(one)), ...figures,
      { name: 'leader killed: write accepted again, p50', value: percentile(failoverMs, 0.5) / 1000, unit: 's', better: 'lower' },
      { name: 'leader killed: write accepted again, p99', value: percentile(failoverMs, 0.99) / 1000, unit: 's', better: 'lower', budget: 2, note: `over ${failoverMs.length} kills, longest ${(Math.max(...failoverMs) / 1000).toFixed(2)} s` },
      await writtenAtRest(IDLE_MS[how]),
    ]
  },
}

async function writesOfOne(count: number): Promise<Writes> {
  const lab = await serversOnly(1)
  try {
    await waitForNamespace(lab)
    return await writesAt(lab, [lab.server], 'one', count)
  } finally {
    await lab.destroy()
  }
}

function writesAt(lab: Cluster, hosts: readonly LabHost[], name: string, count: number, kubeconfig = lab.server.kubeconfig): Promise<Writes> {
  return onShares(lab, (pids) => askOnSwitch<Writes>(lab.lab, 'writes', { kubeconfig, servers: hosts.map(url), name, count, inFlight: IN_FLIGHT, pids }))
}

/** What of a cluster runs on a host has its share together. */
async function onShares<T>(lab: Cluster, work: (pids: number[]) => Promise<T>, pidsOf = (host: LabHost): number[] => [...skiffPids(host), ...etcdPids(host)]): Promise<T> {
  const pids = lab.lab.hosts.map(pidsOf)
  const shares = lab.lab.hosts.map((host, i) => limitCpu(host.name, pids[i] ?? [], CPU_SHARE))
  try {
    return await work(pids.flat())
  } finally {
    for (const end of shares) await end()
  }
}

const latencyOf = ({ latencyMs }: Writes): string => `, p50 ${percentile(latencyMs, 0.5).toFixed(1)} ms, p99 ${percentile(latencyMs, 0.99).toFixed(1)} ms`

async function writesOfThree(count: number, one: Writes, kills: number): Promise<{ figures: Figure[]; failoverMs: number[] }> {
  const lab = await serversOnly(SERVERS)
  try {
    await waitForNamespace(lab)
    const watch = watchWrites(lab)
    const leader = hostAt(lab, await watch.leader())
    await watch.end()
    const atLeader = await writesAt(lab, [leader], 'leader', count)
    const atAll = await writesAt(lab, lab.servers, 'all', count)
    const failoverMs = await killLeaders(lab, kills)
    for (const host of lab.servers) await lab.stop(host)
    const puts = await putsOfOurs(lab, count)
    const etcd = await writesOnEtcd(lab, count)
    const best = Math.max(atLeader.all.perSecond, atAll.all.perSecond)
    return {
      failoverMs,
      figures: [
        rate('three servers: create ConfigMap at 32, at the leader', atLeader.all, undefined, undefined, latencyOf(atLeader)),
        rate('three servers: create ConfigMap at 32, at all', atAll.all, undefined, undefined, latencyOf(atAll)),
        { name: 'three servers, of one server\'s writes', value: (best / one.all.perSecond) * 100, unit: '%', better: 'higher', budget: 60, note: `each host has ${CPU_SHARE * 100} % of a processor` },
        rate('our store with three members: bare put of 1.2 kB at 32, at the leader', puts.all, undefined, undefined, `${latencyOf(puts)}, asked in the member's process`),
        ...(etcd ? [
          rate('a server on etcd with three members: the same', etcd.api.all, undefined, undefined, latencyOf(etcd.api)),
          rate('etcd with three members: bare put of 1.2 kB at 32', etcd.puts.all, undefined, undefined, latencyOf(etcd.puts)),
          { name: 'our store\'s bare puts, of etcd\'s', value: (puts.all.perSecond / etcd.puts.all.perSecond) * 100, unit: '%', better: 'higher', budget: 100, note: 'ours without a trip over the network: nobody but the API server in the same process asks it' } as const,
          { name: 'three servers, of a server on etcd\'s writes', value: (best / etcd.api.all.perSecond) * 100, unit: '%', better: 'higher', budget: 100, note: 'the same API server, the same objects, --datastore-endpoint' } as const,
        ] : []),
      ],
    }
  } finally {
    await lab.destroy()
  }
}

/** The store alone, without an API server over it: what etcd's bare puts are to be compared with. */
async function putsOfOurs(lab: Cluster, count: number): Promise<Writes> {
  const members = await startStoreMembers(lab.servers.map((host) => ({
    ip: host.ip, port: MEMBER_PORT, directory: join(host.dir, 'store-member'), flags: SERVER_FLAGS,
    start: (command) => host.spawn(command, { stdio: ['pipe', 'pipe', 'inherit'] }),
  })))
  const pids = members.map((m) => m.pid)
  const pidsOf = (host: LabHost) => host.processes().filter((p) => pids.includes(p.pid)).map((p) => p.pid)
  const writes = await onShares(lab, () => members[0]?.puts({ count, inFlight: IN_FLIGHT, valueBytes: VALUE_BYTES, pids }) ?? Promise.reject(new Error('the store has no member')), pidsOf)
  await Promise.all(members.map((m) => m.end()))
  return writes
}

/** Debian's etcd on the same hosts, asked as its own benchmark does, and by the same API server. */
async function writesOnEtcd(lab: Cluster, count: number): Promise<{ puts: Writes; api: Writes } | undefined> {
  if (ETCD_MISSING !== undefined) {
    console.error(`not compared with etcd: ${ETCD_MISSING}`)
    return undefined
  }
  const members = await startEtcd(lab.servers)
  const puts = await onShares(lab, (pids) => askOnSwitch<Writes>(lab.lab, 'etcd-puts', { members: members.slice(0, 1), count, inFlight: IN_FLIGHT, pids, valueBytes: VALUE_BYTES }))
  // Beside the leader, as the leader of three servers is.
  const host = hostAt(lab, `${members[0]?.host ?? ''}:`)
  const kubeconfig = join(host.dir, 'on-etcd.yaml')
  host.start('on-etcd', [
    SKIFF, 'server', '--data-dir', join(host.dir, 'data-on-etcd'), '--state-dir', host.stateDir, '--node-name', host.name, '--node-ip', host.ip, '--advertise-address', host.ip, '--write-kubeconfig', kubeconfig,
    '--disable-agent', '--datastore-endpoint', members.map((m) => `http://${m.host}:${m.port}`).join(','),
  ])
  await until('the API server on etcd is ready', 60_000, async () => existsSync(kubeconfig) && (await host.run(['kubectl', '--kubeconfig', kubeconfig, 'get', 'serviceaccount', 'default'])).code === 0)
  return { puts, api: await writesAt(lab, [host], 'etcd', count, kubeconfig) }
}

/** Of the server that writes most; each has its agent. */
async function writtenAtRest(windowMs: number): Promise<Figure> {
  const lab = await Cluster.create({ hosts: SERVERS, servers: SERVERS })
  try {
    await sleep(SETTLE_MS)
    const read = () => lab.servers.map((h) => usageOf(skiffPids(h)))
    const before = read()
    const startMs = performance.now()
    await sleep(windowMs)
    const hours = (performance.now() - startMs) / 3_600_000
    const after = read()
    const perHour = after.map((usage, i) => (usage.writtenBytes - (before[i]?.writtenBytes ?? 0)) / 1e6 / hours)
    const cpu = after.map((usage, i) => ((usage.cpuSeconds - (before[i]?.cpuSeconds ?? 0)) / (hours * 3600)) * 100)
    return { name: 'three servers at rest: written, each', value: Math.max(...perHour), unit: 'MB/h', better: 'lower', budget: 1, note: `${perHour.map((v) => v.toFixed(2)).join(', ')} over ${(windowMs / 1000).toFixed(0)} s; CPU ${cpu.map((v) => v.toFixed(1)).join(', ')} %` }
  } finally {
    await lab.destroy()
  }
}
