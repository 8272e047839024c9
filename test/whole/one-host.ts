/** One lab host and the real binary, started with just the flags a test is about: for what happens before or without a cluster. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type ChildProcess } from 'node:child_process'
import { until } from '../lab/cluster.ts'
import { kill } from '../lab/host.ts'
import type { LabHost, Output } from '../lab/host.ts'
import { Lab } from '../lab/lab.ts'

export const SKIFF = process.env['SKIFF_BINARY'] ?? join(import.meta.dirname, '../../dist/skiff')

export class OneHost {
  readonly lab: Lab
  readonly host: LabHost

  private constructor(lab: Lab, host: LabHost) {
    this.lab = lab
    this.host = host
  }

  static async create(options: { registryDir?: string } = {}): Promise<OneHost> {
    const lab = await Lab.create({ hosts: 1, ...options })
    const host = lab.hosts[0]
    if (!host) throw new Error('the lab has no host')
    return new OneHost(lab, host)
  }

  /** A path in this host's own directory. */
  path(name: string): string { return join(this.host.dir, name) }

  /** Flags that keep everything in the lab, unless told otherwise. */
  nodeFlags(name = 'data'): string[] {
    return ['--data-dir', this.path(name), '--state-dir', this.path(`run-${name}`), '--node-name', 'h1', '--cgroup-root', this.host.cgroupRoot, '--log-format', 'text']
  }

  serverFlags(name = 'data'): string[] {
    return ['server', ...this.nodeFlags(name), '--write-kubeconfig', this.path(`${name}.yaml`), '--disable-agent', '--disable', 'controllers,scheduler']
  }

  /** To its end. */
  run(args: readonly string[], env: Record<string, string> = {}): Promise<Output> {
    return this.host.run([SKIFF, ...args], { env, timeoutMs: 30_000 })
  }

  /** The command line of skiff: for what runs it under another program. */
  skiff(args: readonly string[]): string[] {
    return [SKIFF, ...args]
  }

  start(log: string, args: readonly string[]): ChildProcess {
    return this.host.start(log, this.skiff(args))
  }

  pids(pattern: RegExp): number[] {
    return this.host.processes().filter((p) => pattern.test(p.command) && !p.command.startsWith('nsenter')).map((p) => p.pid)
  }

  kubectl(args: readonly string[], options: { name?: string; input?: string; timeoutMs?: number } = {}): Promise<Output> {
    const { name = 'data', ...rest } = options
    return this.host.run(['env', `KUBECACHEDIR=${this.path('kubectl-cache')}`, 'kubectl', '--kubeconfig', this.path(`${name}.yaml`), ...args], rest)
  }

  async waitForApi(name = 'data', timeoutMs = 30_000): Promise<void> {
    await until(`the API server of ${name} is ready`, timeoutMs, async () => existsSync(this.path(`${name}.yaml`)) && (await this.kubectl(['get', '--raw', '/readyz'], { name })).stdout === 'ok')
  }

  /** Ends it politely and tells the exit code. */
  async stop(child: ChildProcess, pattern: RegExp): Promise<number | null> {
    for (const pid of this.pids(pattern)) kill(pid, 'SIGTERM')
    await until('skiff ends after SIGTERM', 12_000, () => child.exitCode !== null || child.signalCode !== null)
    return child.exitCode
  }
}

/** It failed with this exit code, printed nothing, and said exactly one thing: what is wrong and how to mend it. */
export function assertOneLine(output: Output, code: number, says: RegExp): void {
  const lines = output.stderr.trimEnd().split('\n').filter((line) => !/^\S+Z INFO /.test(line))
  assert.deepStrictEqual({ code: output.code, stdout: output.stdout, lines: lines.length }, { code, stdout: '', lines: 1 }, output.stderr)
  const line = lines[0] ?? ''
  // Where the log is JSON (no terminal, no --log-format text) the last line is, too.
  const said = line.startsWith('{') ? (JSON.parse(line) as { msg: string }).msg : /^skiff: (.*)$/.exec(line)?.[1]
  assert.match(said ?? '', says, line)
}
