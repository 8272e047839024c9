/** A skiff server on loopback without nodes, for kubectl to talk to. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, openSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const READY_MS_MAX = 60_000

export class CmdServer {
  readonly port: number
  /** `data`, `kubeconfig`, `server.log`. */
  readonly dir: string
  readonly #child: ChildProcess

  private constructor(dir: string, port: number, child: ChildProcess) {
    this.dir = dir
    this.port = port
    this.#child = child
  }

  /** Ready when it resolves. */
  static async start(binary: string, dir: string, flags: readonly string[] = []): Promise<CmdServer> {
    mkdirSync(dir, { recursive: true })
    const port = await freePort()
    const log = openSync(join(dir, 'server.log'), 'w')
    const child = spawn(binary, [
      'server', '--disable-agent', '--disable', 'dns,proxy', '--data-dir', join(dir, 'data'), '--state-dir', join(dir, 'data/state'), '--write-kubeconfig', join(dir, 'kubeconfig'),
      '--bind-address', '127.0.0.1', '--https-listen-port', String(port), ...flags,
    ], { stdio: ['ignore', log, log], env: { ...process.env, HOME: dir } })
    const server = new CmdServer(dir, port, child)
    try {
      await server.#untilReady()
    } catch (error) {
      await server.stop()
      throw error
    }
    return server
  }

  /** What it ended with, where it did not wait to be told. */
  async stop(): Promise<string | undefined> {
    const { exitCode, signalCode } = this.#child
    if (exitCode !== null || signalCode !== null) return String(exitCode ?? signalCode)
    const gone = once(this.#child, 'exit')
    this.#child.kill()
    await gone
    return undefined
  }

  async #untilReady(): Promise<void> {
    const until = performance.now() + READY_MS_MAX
    const tls = join(this.dir, 'data/server/tls')
    while (this.#child.exitCode === null) {
      try {
        // By the admin's certificate: with --authorization-mode AlwaysAllow nobody is anonymous.
        if (execFileSync('curl', ['-skf', '--cert', join(tls, 'client-admin.crt'), '--key', join(tls, 'client-admin.key'), `https://127.0.0.1:${this.port}/readyz`], { encoding: 'utf8' }) === 'ok') return
      } catch (error) {
        if (performance.now() > until) throw new Error(`the server is not ready after ${READY_MS_MAX / 1000} s: see ${this.dir}/server.log`, { cause: error })
      }
      await sleep(100)
    }
    throw new Error(`the server did not start: see ${this.dir}/server.log`)
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
