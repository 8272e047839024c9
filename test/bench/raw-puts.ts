/**
 * `node test/bench/raw-puts.ts [COUNT] [--profile DIRECTORY]`: puts of 1.2 kB at 32 in flight into a store of three members,
 * a process each, TLS over loopback: ours, asked of the leader and of a follower in their own processes (where the API server is), beside
 * Debian's etcd, asked over the network as its own benchmark does. Rates depend on what else the machine does; CPU is of all three members.
 */
import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import { until } from '../lab/cluster.ts'
import { ETCD_MISSING } from './etcd.ts'
import { percentile } from './figure.ts'
import { insideCommand } from './inside.ts'
import type { PutsQuestion } from './inside/store-member.ts'
import type { Writes } from './inside/writes.ts'
import { usageOf } from './process-usage.ts'
import { startStoreMembers, type StoreMember } from './store-members.ts'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { profile: { type: 'string' } } })
const puts: PutsQuestion = { count: Number(positionals[0] ?? 20_000), inFlight: 32, valueBytes: 1_200, pids: [] }
const MEMBERS = [1, 2, 3]
const root = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'raw-puts-'))

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => new Promise<ReturnType<typeof createServer>>((resolve) => { const s = createServer().listen(0, '127.0.0.1', () => resolve(s)) })))
  const ports = servers.map((s) => (s.address() as AddressInfo).port)
  await Promise.all(servers.map((s) => new Promise((resolve) => s.close(resolve))))
  return ports
}

function tell(name: string, { all, latencyMs }: Writes, cpuSeconds: number): void {
  console.log(`${name.padEnd(28)} ${all.perSecond.toFixed(0).padStart(7)}/s  p50 ${percentile(latencyMs, 0.5).toFixed(1)} ms  p99 ${percentile(latencyMs, 0.99).toFixed(1)} ms  ${((cpuSeconds / puts.count) * 10_000).toFixed(2)} s CPU for 10,000`)
}

/** CPU of the members while `work` runs. */
async function measured(name: string, pids: readonly number[], work: () => Promise<Writes>): Promise<void> {
  const before = usageOf(pids).cpuSeconds
  const writes = await work()
  tell(name, writes, usageOf(pids).cpuSeconds - before)
}

async function ours(): Promise<void> {
  const ports = await freePorts(MEMBERS.length)
  const members = await startStoreMembers(MEMBERS.map((id, i) => ({
    ip: '127.0.0.1', port: ports[i] ?? 0, directory: join(root, `member-${id}`),
    flags: ['--max-semi-space-size=1', ...(values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`, `--cpu-prof-name=member-${id}.cpuprofile`])],
    start: ([file = '', ...args]) => spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] }),
  })))
  const pids = members.map((m) => m.pid)
  const [leader, follower] = members as [StoreMember, StoreMember]
  await measured('ours, asked of the leader', pids, () => leader.puts(puts))
  await measured('ours, asked of a follower', pids, () => follower.puts(puts))
  for (const member of members) await member.end()
}

async function etcd(): Promise<void> {
  const ports = await freePorts(6)
  const cluster = MEMBERS.map((id, i) => `m${id}=http://127.0.0.1:${ports[3 + i] ?? 0}`).join(',')
  const members = MEMBERS.map((id, i) => {
    const [client, peer] = [`http://127.0.0.1:${ports[i] ?? 0}`, `http://127.0.0.1:${ports[3 + i] ?? 0}`]
    return spawn('etcd', [
      '--name', `m${id}`, '--data-dir', join(root, `etcd-${id}`), '--listen-client-urls', client, '--advertise-client-urls', client, '--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer,
      '--initial-cluster', cluster, '--log-level', 'error',
    ], { stdio: 'ignore', env: { ...process.env, ETCD_UNSUPPORTED_ARCH: process.arch } })
  })
  try {
    const leads = async (port: number): Promise<boolean> => /^etcd_server_is_leader 1$/m.test((await promisify(execFile)('busybox', ['wget', '-q', '-O', '-', `http://127.0.0.1:${port}/metrics`]).catch(() => ({ stdout: '' }))).stdout)
    let leader = 0
    await until('etcd has a leader', 30_000, async () => {
      for (const port of ports.slice(0, 3)) if (await leads(port)) leader = port
      return leader > 0
    })
    await sleep(500)
    const [file = '', ...args] = insideCommand('etcd-puts', { members: [{ host: '127.0.0.1', port: leader }], ...puts })
    await measured('etcd, asked of the leader', members.map((m) => m.pid ?? 0), async () => {
      const { stdout } = await promisify(execFile)(file, args, { maxBuffer: 1 << 24 })
      return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Writes
    })
  } finally {
    for (const member of members) member.kill('SIGKILL')
    await until('etcd ends', 10_000, () => members.every((m) => m.signalCode !== null))
  }
}

await ours()
if (ETCD_MISSING === undefined) await etcd()
else console.error(`not compared with etcd: ${ETCD_MISSING}`)
rmSync(root, { recursive: true })
