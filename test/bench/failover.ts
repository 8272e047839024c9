/** `node test/bench/failover.ts [KILLS]`: how long it takes until a write is accepted again when the leader of three servers is killed; each kill on a line. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { skiffPids, waitForNamespace } from './cluster-figures.ts'
import { percentile } from './figure.ts'
import { insideCommand } from './inside.ts'

export const url = (host: LabHost): string => `https://${host.ip}:6443`

/** From the kill until a write that was asked for after it is accepted, by whichever server. */
export async function killLeaders(lab: Cluster, kills: number, onKill: (failoverMs: number, leader: LabHost) => void = () => undefined): Promise<number[]> {
  const watch = watchWrites(lab)
  const failoverMs: number[] = []
  for (let kill = 0; kill < kills; kill++) {
    for (const host of lab.servers) await watch.accepted(`${host.name} takes writes after ${kill} kills`, (w) => w.server === url(host) && w.askedMs > Date.now() - 500)
    const leader = hostAt(lab, await watch.leader())
    const pids = skiffPids(leader)
    const killedMs = performance.timeOrigin + performance.now()
    for (const pid of pids) process.kill(pid, 'SIGKILL')
    const first = await watch.accepted(`a write is accepted after kill ${kill + 1}`, (w) => w.askedMs >= killedMs)
    failoverMs.push(first.acceptedMs - killedMs)
    onKill(first.acceptedMs - killedMs, leader)
    await lab.stop(leader, 'SIGKILL')
    lab.start(leader)
    await lab.waitForApi(leader)
  }
  await watch.end()
  return failoverMs
}

interface Accepted { server: string; askedMs: number; acceptedMs: number }

export function watchWrites(lab: Cluster) {
  const [file = '', ...args] = lab.lab.wrapOnSwitch(insideCommand('steady-writes', { kubeconfig: lab.server.kubeconfig, servers: lab.servers.map(url), token: lab.token }))
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  let accepted: Accepted[] = []
  let leader: string | undefined
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said = JSON.parse(line) as Accepted | { askedMs?: never; leader?: string }
    if (said.askedMs === undefined) leader = said.leader
    else accepted = [...accepted.slice(-200), said]
  })
  return {
    async leader(): Promise<string> {
      leader = undefined
      await until('somebody knows who leads', 30_000, async () => {
        child.stdin.write('leader\n')
        await sleep(150)
        return leader !== undefined
      })
      return leader ?? ''
    },
    async accepted(what: string, is: (write: Accepted) => boolean): Promise<Accepted> {
      await until(what, 60_000, () => accepted.some(is))
      return accepted.filter(is).toSorted((a, b) => a.acceptedMs - b.acceptedMs)[0] as Accepted
    },
    async end(): Promise<void> {
      child.stdin.end()
      await until('the writer ends', 5_000, () => child.exitCode !== null)
    },
  }
}

export function hostAt(lab: Cluster, address: string): LabHost {
  const host = lab.servers.find((h) => address.startsWith(`${h.ip}:`))
  if (!host) throw new Error(`no server has the address ${address}`)
  return host
}

if (import.meta.main) {
  const lab = await Cluster.create({ hosts: 3, servers: 3, serverFlags: ['--disable-agent'], waitForNodes: false })
  try {
    await waitForNamespace(lab)
    const all = await killLeaders(lab, Number(process.argv[2] ?? 50), (ms, leader) => console.log(`${leader.name} killed: ${ms.toFixed(0)} ms`))
    console.log(`p50 ${percentile(all, 0.5).toFixed(0)} ms, p99 ${percentile(all, 0.99).toFixed(0)} ms, longest ${Math.max(...all).toFixed(0)} ms`)
  } finally {
    await lab.destroy({ keepFiles: process.env['KEEP_LAB_FILES'] !== undefined })
  }
}
