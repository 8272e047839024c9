/** runc or crun by its command line, and conmon, which stays with each container. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { CodedError, asError } from '#base/errors.ts'
import { unmountBelow } from './namespace-pins.ts'
import { SEARCH_PATH, mustRun, runCommand } from './run-command.ts'
import type { CommandResult } from './run-command.ts'
import { identify, isAlive } from './process-identity.ts'
import type { ProcessIdentity } from './process-identity.ts'
import type { RuntimePaths } from './runtime-paths.ts'
import { openStartGate } from './start-gate.ts'

export interface ConmonStart { id: string; logPath: string; terminal: boolean; stdin: boolean; stdinOnce: boolean }

const CREATE_MS_MAX = 120_000
/** What each keeps in a container's state directory; `exec.fifo` beside it is the gate where a created container waits. */
const STATE_FILES = { runc: 'state.json', crun: 'status' } as const

export class OciRuntime {
  readonly program: string
  readonly #kind: 'runc' | 'crun'
  readonly #conmon: string
  readonly #paths: RuntimePaths
  readonly #clock: Clock
  #version: string | undefined
  #checked = false

  constructor(options: { kind: 'runc' | 'crun'; program: string; conmon: string; paths: RuntimePaths; clock: Clock }) {
    this.program = options.program
    this.#kind = options.kind
    this.#conmon = options.conmon
    this.#paths = options.paths
    this.#clock = options.clock
  }

  /** Its first argument words for this container: program and state directory. */
  argv(id: string, ...args: string[]): string[] { return [this.#programOf(id), '--root', this.#paths.ociRoot, ...args] }

  /** Only the runtime that made a container knows it: after a change of `--oci-runtime` there are some of both. */
  #programOf(id: string): string {
    const madeBy = Object.entries(STATE_FILES).find(([, file]) => existsSync(join(this.#paths.ociRoot, id, file)))?.[0]
    return madeBy === undefined || madeBy === this.#kind ? this.program : madeBy
  }

  /** It was created, and let go since: nobody waits at its gate. */
  hasStarted(id: string): boolean {
    const directory = join(this.#paths.ociRoot, id)
    return Object.values(STATE_FILES).some((file) => existsSync(join(directory, file))) && !existsSync(join(directory, 'exec.fifo'))
  }

  /** Asked once: the kubelet wants to know every few seconds. */
  async version(): Promise<string> {
    this.#version ??= await versionOf(this.program, this.#clock)
    return this.#version
  }

  /** Throws CRI_FAILED naming what is missing. After the first time only whether the programs are there is looked at. */
  async check(): Promise<void> {
    const programs = [this.program, this.#conmon]
    for (const program of programs) await programPath(program)
    if (this.#checked) return
    for (const program of programs) await versionOf(program, this.#clock)
    this.#checked = true
  }

  /** conmon creates the container (it waits to be started) and stays with it. Rejects with the runtime's words. */
  async create(start: ConmonStart): Promise<{ process: ProcessIdentity; conmon: ProcessIdentity | undefined }> {
    const paths = this.#paths.container(start.id)
    await mkdir(paths.persist, { recursive: true })
    // A runc that was killed while it made them (with the agent, say) leaves these, and its successor refuses to begin:
    // it writes its pid file under this temporary name with O_EXCL.
    for (const stale of [paths.pidFile, join(dirname(paths.pidFile), `.${basename(paths.pidFile)}`)]) await rm(stale, { force: true })
    const args = [
      '--api-version', '1', '-c', start.id, '-u', start.id, '-n', start.id, '-r', await programPath(this.program), '-b', paths.bundle,
      '-p', paths.pidFile, '-P', paths.conmonPidFile, '-l', `k8s-file:${start.logPath}`, '--exit-dir', this.#paths.exits, '--persist-dir', paths.persist,
      '--socket-dir-path', join(this.#paths.stateDir, 'attach'), '--full-attach', '--log-level', 'error', '--runtime-arg', `--root=${this.#paths.ociRoot}`, '--no-sync-log',
      ...(start.terminal ? ['-t'] : []), ...(start.stdin ? ['-i'] : []), ...(start.stdin && !start.stdinOnce ? ['--leave-stdin-open'] : []),
    ]
    await this.#spawnConmon(args, paths.bundle)
    const pid = Number(await readFile(paths.pidFile, 'utf8'))
    const conmonPid = Number(await readFile(paths.conmonPidFile, 'utf8').catch(() => '0'))
    const process = identify(pid)
    if (!process) throw new CodedError('CRI_FAILED', `container ${start.id} ended before it was started`)
    return { process, conmon: conmonPid > 0 ? identify(conmonPid) : undefined }
  }

  /** Resolves when conmon says the container is created. */
  #spawnConmon(args: string[], bundle: string): Promise<void> {
    return new Promise((resolve, reject) => {
      // It leaves a file named `oom` in its working directory, too.
      const child = spawn(this.#conmon, args, { cwd: bundle, stdio: ['ignore', 'ignore', 'pipe', 'pipe'], detached: true, env: { PATH: SEARCH_PATH, _OCI_SYNCPIPE: '3' } })
      let said = ''
      let words = ''
      const sync = child.stdio[3] as NodeJS.ReadableStream & { destroy(): void }
      const finish = (error?: Error) => {
        cancel()
        sync.destroy()
        child.stderr?.destroy()
        if (error) reject(error)
        else resolve()
      }
      const cancel = this.#clock.after(CREATE_MS_MAX, () => {
        child.kill('SIGKILL')
        finish(new CodedError('CRI_TIMEOUT', `${this.program} did not create the container within ${CREATE_MS_MAX / 1000} s`))
      })
      child.on('error', (error) => finish(new CodedError('CRI_FAILED', `${this.#conmon} cannot be run: ${error.message}; install conmon and try again`, { cause: error })))
      child.stderr?.on('data', (chunk: Buffer) => { words = `${words}${chunk.toString()}`.slice(-4096) })
      const settle = () => {
        const message = parseSync(said)
        if (message && message.data > 0) return finish()
        const why = message?.message?.trim() || words.trim() || 'conmon ended without a word'
        finish(new CodedError('CRI_FAILED', `OCI runtime create failed: ${cleanWords(why)}: unknown`))
      }
      sync.on('data', (chunk: Buffer) => {
        said += chunk.toString()
        if (said.includes('\n')) settle()
      })
      sync.on('end', settle)
      sync.on('error', (error) => finish(asError(error)))
    })
  }

  /** `process`: what `create` told of. */
  async start(id: string, process: ProcessIdentity): Promise<void> {
    const gate = join(this.#paths.ociRoot, id, 'exec.fifo')
    // crun's gate is of another kind, and it starts in a third of runc's time.
    if (existsSync(join(this.#paths.ociRoot, id, STATE_FILES.runc)) && existsSync(gate)) {
      await openStartGate(gate, () => isAlive(process), this.#clock).catch((error: unknown) => { throw startFailure(asError(error).message, error) })
      return
    }
    const result = await this.run(id, 'start', id)
    if (result.exitCode !== 0) throw startFailure(cleanWords(result.stderr.toString()))
  }

  /** By its own program, which knows what else it may hold: after its process has gone, or with `force` before. Succeeds when there is none. */
  async delete(id: string, force = false): Promise<void> {
    const directory = join(this.#paths.ociRoot, id)
    if (!existsSync(directory)) return
    const failure = await this.#delete(id, force)
    if (!existsSync(directory)) return
    // A runc that is killed while it makes the copy of itself that it runs in a container leaves the mount of it there. The next
    // one takes the state away, stumbles over the mount, and knows nothing of the container from then on.
    await unmountBelow([directory], this.#clock)
    const last = failure && await this.#delete(id, force)
    if (last) throw last
    await rm(directory, { recursive: true, force: true })
  }

  async #delete(id: string, force: boolean): Promise<CodedError | undefined> {
    const { exitCode, stderr } = await this.run(id, 'delete', ...(force ? ['--force'] : []), id)
    const words = stderr.toString()
    return exitCode === 0 || /does not exist|not found/.test(words) ? undefined : new CodedError('CRI_FAILED', `OCI runtime delete failed: ${cleanWords(words)}`)
  }

  run(id: string, ...args: string[]): Promise<CommandResult> {
    return runCommand(this.argv(id, ...args), { clock: this.#clock, timeoutMs: CREATE_MS_MAX })
  }

  /** Of a running container; `resources` as in its spec. By a file: crun opens /dev/stdin by its name, which a program's socket does not let it. */
  async update(id: string, resources: object): Promise<void> {
    const path = join(this.#paths.container(id).bundle, 'resources.json')
    try {
      await writeFile(path, JSON.stringify(resources), { mode: 0o600 })
      const result = await this.run(id, 'update', '--resources', path, id)
      if (result.exitCode !== 0) throw new CodedError('CRI_FAILED', `failed to update resources of container "${id}": ${result.stderr.toString().trim()}`)
    } finally {
      await rm(path, { force: true })
    }
  }
}

function startFailure(words: string, cause?: unknown): CodedError {
  return new CodedError('CRI_FAILED', `OCI runtime start failed: ${words}: unknown`, { cause })
}

async function versionOf(program: string, clock: Clock): Promise<string> {
  const { stdout } = await mustRun([program, '--version'], { clock })
  return /version (\S+)/.exec(stdout.toString())?.[1] ?? 'unknown'
}

/** The last sentence of runc's log line, without its own decoration. */
export function cleanWords(text: string): string {
  const lines = text.trim().split('\n').map((line) => (/msg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1] ?? line).replaceAll(/\\(.)/g, '$1').replace(/^(?:Error: |ERRO\[\d+\] )/, '').trim()).filter(Boolean)
  return lines.at(-1)?.slice(0, 2000) ?? ''
}

function parseSync(text: string): { data: number; message?: string } | undefined {
  try {
    const parsed = JSON.parse(text.split('\n')[0] ?? '') as { data?: unknown; pid?: unknown; message?: unknown }
    const data = typeof parsed.data === 'number' ? parsed.data : typeof parsed.pid === 'number' ? parsed.pid : -1
    return { data, ...(typeof parsed.message === 'string' && { message: parsed.message }) }
  } catch {
    // Cut short: conmon died, its stderr says why.
    return undefined
  }
}

/** conmon wants a path. */
async function programPath(program: string): Promise<string> {
  if (program.includes('/')) return program
  const { access, constants } = process.getBuiltinModule('node:fs/promises')
  for (const directory of SEARCH_PATH.split(':')) {
    const path = join(directory, program)
    if (await access(path, constants.X_OK).then(() => true, () => false)) return path
  }
  throw new CodedError('CRI_FAILED', `${program} is not installed: install it and try again`)
}
