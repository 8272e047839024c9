/**
 * What stands in for systemd on the host of upstream's suite for nodes: one unit, the skiff of that host, which a `systemctl` in
 * the suite's PATH stops and starts. It is started with what the suite has written for it as a kubelet's configuration, and again
 * when somebody kills it. While it is stopped its container runtime goes on by itself.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { load } from 'js-yaml'
import { until, type Cluster } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { flagsOf, type KubeletConfiguration } from './kubelet-flags.ts'
import type { Alone } from './node-runtime.inside.ts'

/** The suite looks for a unit whose name begins so. */
const UNIT = 'kubelet-skiff'

export interface UnitOptions {
  cluster: Cluster
  host: LabHost
  /** Where `systemctl` is put, and its socket. */
  bin: string
  /** What the suite writes, a KubeletConfiguration. */
  configFile: string
  /** Of the process, without a line's end: the suite kills container runtimes by it. */
  pidFile: string
  /** What was asked, and which settings skiff has no flag for. */
  log: string
}

/** Resolves to the function that ends it, with which skiff runs as it did before. */
export async function startUnit({ cluster, host, bin, configFile, pidFile, log }: UnitOptions): Promise<() => Promise<void>> {
  const note = (line: string) => appendFileSync(log, `${line}\n`)
  const state: { turn: Promise<string>; child: ChildProcess | undefined; runtime: ChildProcess | undefined } = { turn: Promise.resolve(''), child: undefined, runtime: undefined }

  const endRuntime = async (): Promise<void> => {
    const { runtime } = state
    state.runtime = undefined
    if (runtime && runtime.exitCode === null && runtime.signalCode === null) {
      runtime.kill()
      await once(runtime, 'exit')
    }
  }
  const startRuntime = async (): Promise<void> => {
    const alone: Alone = { dataDir: host.dataDir, stateDir: host.stateDir }
    const child = host.spawn([process.execPath, '--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'node-runtime.inside.ts'), JSON.stringify(alone)], { stdio: ['ignore', 'pipe', 'inherit'] })
    state.runtime = child
    await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), once(child, 'exit')])
  }

  const start = async (): Promise<void> => {
    if (cluster.runs(host)) return
    await endRuntime()
    const { flags, without } = flagsOf(existsSync(configFile) ? load(readFileSync(configFile, 'utf8')) as KubeletConfiguration : {})
    note(`  starts: ${flags.join(' ')}${without.length > 0 ? `; there is no flag for ${without.join(', ')}` : ''}`)
    const child = cluster.start(host, flags)
    state.child = child
    writeFileSync(pidFile, String(child.pid))
    child.once('exit', (code, signal) => {
      if (state.child !== child) return
      note(`  it has ended: ${signal ?? String(code)}`)
      // What does not start with these settings would not start again either.
      if (signal !== null) void inTurn(async () => { await start(); return '' })
    })
    // As a unit of Type=notify: whoever has started it may ask its runtime at once.
    await until(`skiff runs on ${host.name}, or has ended`, 30_000, async () => child.exitCode !== null || child.signalCode !== null || await answers(join(host.dataDir, 'agent/cri.sock')))
  }
  const stop = async (): Promise<void> => {
    state.child = undefined
    if (cluster.runs(host)) await cluster.stop(host)
  }

  const carryOut = async (asked: string): Promise<string> => {
    note(asked)
    const [verb, ...rest] = asked.split(' ')
    switch (verb) {
      case 'list-units': {
        const isRunning = cluster.runs(host)
        return isRunning || !rest.includes('--state=running') ? `${UNIT}.service loaded ${isRunning ? 'active running' : 'inactive dead'} skiff\n` : ''
      }
      case 'reset-failed': return ''
      case 'start': await start(); return ''
      case 'stop': case 'kill': {
        if (!cluster.runs(host)) return ''
        await stop()
        await startRuntime()
        return ''
      }
      case 'restart': await stop(); await start(); return ''
      default: throw new Error(`Unknown command verb ${verb ?? ''}.`)
    }
  }
  /** One after another, as systemd carries out its jobs. */
  const inTurn = (work: () => Promise<string>): Promise<string> => {
    state.turn = state.turn.then(work, work)
    return state.turn
  }

  await stop()
  await start()
  const server = createServer((request, response) => {
    textOf(request).then((asked) => inTurn(() => carryOut(asked))).then((output) => response.writeHead(200).end(output), (error: unknown) => response.writeHead(500).end(`${String(error)}\n`))
  })
  const socket = join(bin, 'systemctl.sock')
  server.listen(socket)
  await once(server, 'listening')
  writeFileSync(join(bin, 'systemctl'), `#!/bin/sh\nexec curl -sS --fail-with-body --unix-socket '${socket}' --data-binary "$*" http://systemd/\n`, { mode: 0o755 })
  return async () => {
    server.close()
    server.closeAllConnections()
    await inTurn(async () => {
      await stop()
      await endRuntime()
      cluster.start(host)
      return ''
    })
  }
}

async function answers(socketPath: string): Promise<boolean> {
  const socket = connect(socketPath)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false // Not there yet, or left by one that was killed.
  } finally {
    socket.destroy()
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString().trim()
}
