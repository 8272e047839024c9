/** What befalls the servers while clients write: one misfortune after the other, each ended before the next, chosen by a seed. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '#base/random.ts'
import type { Cluster } from '../lab/cluster.ts'
import { kill } from '../lab/host.ts'
import type { LabHost } from '../lab/host.ts'
import { leaderOf } from '../lab/leader.ts'

export interface Misfortune { name: string; /** Fewer servers cannot have it. */ serversMin: number; /** It is over when this resolves. */ befall(cluster: Cluster, random: Random): Promise<void> }

const CALM_MS = { min: 300, max: 2_500 }

const between = (random: Random, min: number, max: number): number => min + random.next() * (max - min)
const shuffled = <T>(random: Random, of: readonly T[]): T[] => of.map((value) => ({ value, at: random.next() })).sort((a, b) => a.at - b.at).map(({ value }) => value)
const some = (cluster: Cluster, random: Random): LabHost => shuffled(random, cluster.servers)[0] ?? cluster.server

function serverPids(host: LabHost): number[] {
  return host.processes().filter((p) => / server /.test(p.command) && !p.command.startsWith('nsenter')).map((p) => p.pid)
}

async function killed(cluster: Cluster, hosts: readonly LabHost[], random: Random, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  await Promise.all(hosts.map((host) => cluster.stop(host, signal)))
  await sleep(between(random, 0, 3_000))
  for (const host of hosts) cluster.start(host)
}

async function paused(hosts: readonly LabHost[], ms: number): Promise<void> {
  const pids = hosts.flatMap(serverPids)
  for (const pid of pids) kill(pid, 'SIGSTOP')
  await sleep(ms)
  for (const pid of pids) kill(pid, 'SIGCONT')
}

/** Every host ends on its side of the cut; clients reach all of them. */
async function cut(cluster: Cluster, ms: number, between: (from: LabHost, to: LabHost) => 'both' | 'in' | 'out' | undefined): Promise<void> {
  for (const from of cluster.servers) {
    for (const to of cluster.servers) {
      const direction = from === to ? undefined : between(from, to)
      if (direction) from.cutFrom(to, direction)
    }
  }
  await sleep(ms)
  for (const host of cluster.servers) host.healCuts()
}

export const MISFORTUNES: readonly Misfortune[] = [
  { name: 'kill -9 of one', serversMin: 1, befall: (cluster, random) => killed(cluster, [some(cluster, random)], random) },
  { name: 'kill -9 of all', serversMin: 2, befall: (cluster, random) => killed(cluster, cluster.servers, random) },
  { name: 'kill -9 of the majority', serversMin: 3, befall: (cluster, random) => killed(cluster, shuffled(random, cluster.servers).slice(0, 2), random) },
  { name: 'restart of one', serversMin: 1, befall: (cluster, random) => killed(cluster, [some(cluster, random)], random, 'SIGTERM') },
  { name: 'pause of one', serversMin: 1, befall: (cluster, random) => paused([some(cluster, random)], between(random, 300, 5_000)) },
  // Long enough that the others choose another one, which it does not know of when it goes on.
  { name: 'pause of the leader', serversMin: 2, befall: async (cluster, random) => paused([await leaderOf(cluster)], between(random, 2_000, 6_000)) },
  { name: 'pause of the majority', serversMin: 3, befall: (cluster, random) => paused(shuffled(random, cluster.servers).slice(0, 2), between(random, 500, 5_000)) },
  {
    name: 'one cut off', serversMin: 2,
    befall: (cluster, random) => {
      const alone = some(cluster, random)
      return cut(cluster, between(random, 1_000, 7_000), (from) => (from === alone ? 'both' : undefined))
    },
  },
  {
    name: 'the leader cut off', serversMin: 3,
    befall: async (cluster, random) => {
      const leader = await leaderOf(cluster)
      await cut(cluster, between(random, 2_000, 7_000), (from) => (from === leader ? 'both' : undefined))
    },
  },
  {
    name: 'one hears nobody', serversMin: 2,
    befall: (cluster, random) => {
      const deaf = some(cluster, random)
      return cut(cluster, between(random, 1_000, 7_000), (from) => (from === deaf ? 'in' : undefined))
    },
  },
  {
    name: 'one is heard by nobody', serversMin: 2,
    befall: (cluster, random) => {
      const mute = some(cluster, random)
      return cut(cluster, between(random, 1_000, 7_000), (from) => (from === mute ? 'out' : undefined))
    },
  },
  {
    name: 'two do not hear each other, the third hears both', serversMin: 3,
    befall: (cluster, random) => {
      const bridge = some(cluster, random)
      return cut(cluster, between(random, 1_000, 7_000), (from, to) => (from === bridge || to === bridge ? undefined : 'both'))
    },
  },
  { name: 'nobody hears anybody', serversMin: 2, befall: (cluster, random) => cut(cluster, between(random, 1_000, 5_000), () => 'both') },
  {
    name: 'one cut off, another killed when it is back', serversMin: 3,
    befall: async (cluster, random) => {
      const [alone, victim] = shuffled(random, cluster.servers)
      await cut(cluster, between(random, 1_000, 5_000), (from) => (from === alone ? 'both' : undefined))
      if (victim) await killed(cluster, [victim], random)
    },
  },
]

/** Until the time is over. Returns what happened, in order. */
export async function haunt(cluster: Cluster, random: Random, untilMs: number, say: (what: string) => void): Promise<string[]> {
  const possible = MISFORTUNES.filter((m) => m.serversMin <= cluster.servers.length)
  const happened: string[] = []
  let bag: Misfortune[] = []
  while (performance.now() < untilMs) {
    // Each once before one comes again: a short run has seen most of them.
    if (bag.length === 0) bag = shuffled(random, possible)
    const misfortune = bag.pop()
    if (!misfortune) break
    say(misfortune.name)
    await misfortune.befall(cluster, random)
    happened.push(misfortune.name)
    await sleep(between(random, CALM_MS.min, CALM_MS.max))
  }
  return happened
}
