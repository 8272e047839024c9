/**
 * One of three servers under strace, while one of the others is down: whatever a client is told, this one has synced. Then
 * its power fails at many moments of that; and at the end, for real: it has to find its way back into the cluster.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { seededRandom } from '#base/random.ts'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { SKIFF } from '../whole/one-host.ts'
import { Disk, type Loss } from './disk.ts'
import { faultsOf, type Found, type Write } from './expectation.ts'
import type { Recording } from './power-loss.ts'
import { readTrace, STRACE_OPTIONS } from './trace.ts'
import type { WriterOptions } from './writer.ts'

export interface MemberOptions { writers: number; writes: number; seed: number }

export class MemberRecording {
  readonly recording: Recording
  readonly #cluster: Cluster
  readonly #member: LabHost
  readonly #flags: readonly string[]
  #rejoined = 0

  private constructor(parts: { recording: Recording; cluster: Cluster; member: LabHost; flags: readonly string[] }) {
    this.recording = parts.recording
    this.#cluster = parts.cluster
    this.#member = parts.member
    this.#flags = parts.flags
  }

  static async make(options: MemberOptions): Promise<MemberRecording> {
    const cluster = await Cluster.create({ hosts: 3, servers: 3, serverFlags: ['--disable-agent', '--disable-snapshots'], waitForNodes: false })
    try {
      const [first, member, third] = cluster.servers as [LabHost, LabHost, LabHost]
      const flags = [
        SKIFF, 'server', '--data-dir', member.dataDir, '--state-dir', member.stateDir, '--node-name', member.name, '--node-ip', member.ip, '--advertise-address', member.ip, '--write-kubeconfig', member.kubeconfig,
        '--log-format', 'text', '--disable-agent', '--disable-snapshots', '--server', `https://${first.ip}:6443`, '--token', cluster.token,
      ]
      // With an empty disk, so that all that is on it is in the recording.
      await cluster.stop(member, 'SIGKILL')
      rmSync(join(member.dataDir, 'server'), { recursive: true })
      const trace = join(member.dir, 'trace')
      member.start('skiff', ['strace', '-o', trace, ...STRACE_OPTIONS, ...flags])
      await cluster.waitForApi(member)
      await until('it is a member', 30_000, async () => (await first.run([SKIFF, 'members', 'list', '--kubeconfig', first.kubeconfig])).stdout.split('\n').filter((l) => / Ready /.test(l)).length === 3)
      await cluster.stop(third, 'SIGKILL')
      await until('the two of them take writes', 60_000, async () => (await first.run(['kubectl', '--kubeconfig', first.kubeconfig, 'create', 'configmap', 'two-are-enough'])).code === 0)
      const out = join(first.dir, 'writes.json')
      const beganMs = Date.now()
      const args: WriterOptions = { server: `https://${first.ip}:6443`, kubeconfig: first.kubeconfig, out, ...options }
      await first.must([process.execPath, join(import.meta.dirname, 'writer.ts'), JSON.stringify(args)], { timeoutMs: 300_000 })
      await cluster.stop(member, 'SIGKILL')
      await until('its recording is whole', 15_000, () => !member.processes().some((p) => p.command.startsWith('strace ')))
      return new MemberRecording({ recording: { events: await readTrace(trace, join(member.dataDir, 'server/db')), writes: JSON.parse(readFileSync(out, 'utf8')) as Write[], beganMs }, cluster, member, flags })
    } catch (error) {
      await cluster.destroy()
      throw error
    }
  }

  /**
   * The two others go on, and it comes back with what the cut at the end left it. What is wrong with what it shows then.
   * A second time its disk has lost what it has said to have since: the leader has to notice, and give it all of that again.
   */
  async rejoin(loss: Loss, seed: number): Promise<string[]> {
    const { events, writes } = this.recording
    const [first, , third] = this.#cluster.servers as [LabHost, LabHost, LabHost]
    const disk = new Disk()
    for (const event of events) disk.apply(event)
    const db = join(this.#member.dataDir, 'server/db')
    rmSync(db, { recursive: true })
    mkdirSync(db, { mode: 0o700 })
    for (const [path, content] of disk.cut(loss, seededRandom(seed))) writeFileSync(join(db, path), content)
    if (this.#rejoined++ === 0) this.#cluster.start(third)
    await this.#cluster.waitForApi(third)
    const name = `after-${seed}-${this.#rejoined}`
    await until('the others take writes', 60_000, async () => (await first.run(['kubectl', '--kubeconfig', first.kubeconfig, 'create', 'configmap', name])).code === 0)
    this.#member.start('skiff', this.#flags)
    await this.#cluster.waitForApi(this.#member)
    const { items } = JSON.parse(await this.#member.must(['kubectl', '--kubeconfig', this.#member.kubeconfig, 'get', 'configmaps', '-n', 'default', '-o', 'json'])) as { items: { metadata: { name: string; resourceVersion: string }; data?: { n: string; filler: string } }[] }
    const found = new Map<string, Found>(items.filter((i) => i.metadata.name.startsWith('power-')).map((i) => [i.metadata.name, { n: Number(i.data?.n), filler: i.data?.filler ?? '', revision: Number(i.metadata.resourceVersion) }]))
    const faults = faultsOf(writes, Infinity, found)
    if (!items.some((i) => i.metadata.name === name)) faults.push('what was written while it was away is not there')
    await this.#cluster.stop(this.#member, 'SIGKILL')
    return faults
  }

  async [Symbol.asyncDispose](): Promise<void> { await this.#cluster.destroy() }
}
