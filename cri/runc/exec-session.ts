/**
 * Commands in a running container, by `runc exec` with the container's own user, environment and limits. runc tells of
 * its own failures on the command's stderr: that stream is held back until the command is known to run.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { PassThrough, Readable, Writable } from 'node:stream'
import type { Clock } from '#base/clock.ts'
import { CodedError } from '#base/errors.ts'
import type { ExecRequest, IoSession } from '../runtime.ts'
import { endExec } from './exec-end.ts'
import { identify, type ProcessIdentity } from './process-identity.ts'
import { cleanWords } from './oci-runtime.ts'
import type { OciRuntime } from './oci-runtime.ts'
import type { OciProcess, OciSpec } from './oci-spec.ts'
import { BoundedOutput, SEARCH_PATH } from './run-command.ts'
import type { SpawnPty } from './runtime-options.ts'

export interface ExecParts {
  oci: OciRuntime
  clock: Clock
  /** Of the container. */
  configPath: string
  /** Where the command's process spec and pid are written: `<stateDir>/exec`. */
  directory: string
  /** Names the files. */
  execId: string
  loadPty: (() => SpawnPty) | undefined
}

const OUTPUT_BYTES_MAX = 1 << 20
const HOLD_MS = 3
const COLUMNS = 80
const ROWS = 24

interface Prepared { argv: string[]; pidFile: string; release: () => Promise<void> }

/** Throws CRI_TIMEOUT after killing the command's process group. */
export async function execSync(parts: ExecParts, request: Pick<ExecRequest, 'containerId' | 'cmd'>, timeoutSeconds: number): Promise<{ exitCode: number; stdout: Buffer; stderr: Buffer }> {
  const prepared = await prepare(parts, { ...request, tty: false, stdin: false })
  try {
    return await new Promise((resolve, reject) => {
      const [program = '', ...args] = prepared.argv
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: SEARCH_PATH } })
      const runc = identityOf(child.pid)
      const stdout = new BoundedOutput(OUTPUT_BYTES_MAX)
      const stderr = new BoundedOutput(OUTPUT_BYTES_MAX)
      let timedOut = false
      const cancel = timeoutSeconds > 0 ? parts.clock.after(timeoutSeconds * 1000, () => {
        timedOut = true
        endProgram(runc, parts.clock).catch(reject)
      }) : () => {}
      child.stdout.on('data', (chunk: Buffer) => stdout.add(chunk))
      child.stderr.on('data', (chunk: Buffer) => stderr.add(chunk))
      child.on('error', (error) => { cancel(); reject(error) })
      child.on('close', (code) => {
        cancel()
        if (timedOut) reject(new CodedError('CRI_TIMEOUT', `failed to exec in container: timeout ${timeoutSeconds}s exceeded: context deadline exceeded`))
        else if (!existsSync(prepared.pidFile)) reject(startFailure(parts, stderr.bytes().toString()))
        else resolve({ exitCode: code ?? 137, stdout: stdout.bytes(), stderr: stderr.bytes() })
      })
    })
  } finally {
    await prepared.release()
  }
}

export async function openExec(parts: ExecParts, request: ExecRequest): Promise<IoSession> {
  const prepared = await prepare(parts, request)
  return request.tty ? terminalSession(parts, request, prepared) : pipeSession(parts, request, prepared)
}

function pipeSession(parts: ExecParts, request: ExecRequest, prepared: Prepared): IoSession {
  const [program = '', ...args] = prepared.argv
  const child = spawn(program, args, { stdio: [request.stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'], env: { PATH: SEARCH_PATH } })
  const runc = identityOf(child.pid)
  const stderr = new PassThrough()
  const held: Buffer[] = []
  let started = false
  let cancelHold = () => {}
  const letGo = () => {
    if (!started && !existsSync(prepared.pidFile)) {
      cancelHold()
      cancelHold = parts.clock.after(HOLD_MS, letGo)
      return
    }
    started = true
    for (const chunk of held.splice(0)) if (!stderr.write(chunk)) child.stderr?.pause()
  }
  stderr.on('drain', () => child.stderr?.resume())
  child.stderr?.on('data', (chunk: Buffer) => {
    held.push(chunk)
    letGo()
  })
  // The command may end without reading its input.
  child.stdin?.on('error', () => {})
  let fail: (error: unknown) => void = () => {}
  const done = releasedAfter(prepared, new Promise<number>((resolve, reject) => {
    fail = reject
    child.on('error', (error) => reject(new CodedError('CRI_FAILED', `failed to exec in container: ${error.message}`, { cause: error })))
    child.on('close', (code) => {
      cancelHold()
      const failed = !started && !existsSync(prepared.pidFile)
      if (failed) {
        stderr.end()
        reject(startFailure(parts, Buffer.concat(held).toString()))
        return
      }
      for (const chunk of held.splice(0)) stderr.write(chunk)
      stderr.end()
      resolve(code ?? 137)
    })
  }))
  // Whoever only reads the streams need not look at the end.
  done.catch(() => {})
  return {
    stdin: child.stdin ?? undefined, stdout: child.stdout ?? Readable.from([]), stderr, resize: () => {}, done,
    close() {
      endProgram(runc, parts.clock).catch(fail)
    },
  }
}

function terminalSession(parts: ExecParts, request: ExecRequest, prepared: Prepared): IoSession {
  if (!parts.loadPty) throw new CodedError('CRI_FAILED', 'exec with a terminal needs a pty library and none was given to the runtime')
  const [program = '', ...args] = prepared.argv
  const pty = parts.loadPty()(program, args, { name: 'xterm', cols: COLUMNS, rows: ROWS, cwd: '/', env: { PATH: SEARCH_PATH, TERM: 'xterm' }, encoding: null })
  const runc = identityOf(pty.pid)
  const stdout = new Readable({ read: () => pty.resume(), highWaterMark: 64 * 1024 })
  let failure = ''
  let started = false
  let fail: (error: unknown) => void = () => {}
  pty.onData((data) => {
    const chunk = typeof data === 'string' ? Buffer.from(data) : data
    started ||= existsSync(prepared.pidFile)
    // Before the command runs only runc itself can have said this.
    if (!started) failure += chunk.toString()
    if (!stdout.push(chunk)) pty.pause()
  })
  const done = releasedAfter(prepared, new Promise<number>((resolve, reject) => {
    fail = reject
    pty.onExit(({ exitCode, signal }) => {
      stdout.push(null)
      if (existsSync(prepared.pidFile)) resolve(signal ? 128 + signal : exitCode)
      else reject(startFailure(parts, failure))
    })
  }))
  done.catch(() => {})
  const stdin = new Writable({
    write(chunk: Buffer, _, callback) {
      pty.write(chunk)
      callback()
    },
  })
  return {
    stdin: request.stdin ? stdin : undefined, stdout, stderr: undefined, done,
    resize({ width, height }) {
      if (width > 0 && height > 0) pty.resize(width, height)
    },
    close() {
      endProgram(runc, parts.clock).catch(fail)
    },
  }
}

async function releasedAfter<T>(prepared: Prepared, work: Promise<T>): Promise<T> {
  try {
    return await work
  } finally {
    await prepared.release()
  }
}

async function prepare(parts: ExecParts, request: ExecRequest): Promise<Prepared> {
  if (request.cmd.length === 0) throw new CodedError('CRI_INVALID', 'failed to exec in container: no command specified')
  const spec = JSON.parse(await readFile(parts.configPath, 'utf8')) as OciSpec
  const command: OciProcess = { ...spec.process, args: request.cmd, terminal: request.tty }
  // Until the first resize: a size of 0 by 0 confuses programs.
  if (request.tty) command.consoleSize = { width: COLUMNS, height: ROWS }
  // TERM only where the container itself has none.
  if (request.tty && !command.env.some((entry) => entry.startsWith('TERM='))) command.env = [...command.env, 'TERM=xterm']
  await mkdir(parts.directory, { recursive: true, mode: 0o700 })
  const specFile = join(parts.directory, `${request.containerId}.${parts.execId}.json`)
  const pidFile = join(parts.directory, `${request.containerId}.${parts.execId}.pid`)
  // By file, not argument: the environment may hold secrets.
  await writeFile(specFile, JSON.stringify(command), { mode: 0o600 })
  return {
    argv: withOomScore(command.oomScoreAdj, parts.oci.argv(request.containerId, 'exec', ...(request.tty ? ['--tty'] : []), '--process', specFile, '--pid-file', pidFile, request.containerId)), pidFile,
    async release() {
      await rm(specFile, { force: true })
      await rm(pidFile, { force: true })
    },
  }
}

const SCORED = '{ echo "$1" > /proc/self/oom_score_adj; } 2>/dev/null; shift; exec "$@"'

/** crun leaves a command the OOM score that it was started with itself, which is this program's: it takes the container's first. runc does so by itself. */
export function withOomScore(score: number | undefined, argv: readonly string[]): string[] {
  return score !== undefined && basename(argv[0] ?? '') === 'crun' ? ['/bin/sh', '-c', SCORED, 'sh', String(score), ...argv] : [...argv]
}

function startFailure(parts: ExecParts, words: string): CodedError {
  return new CodedError('CRI_FAILED', `failed to exec in container: failed to start exec "${parts.execId}": OCI runtime exec failed: ${cleanWords(words)}: unknown`)
}

/** Taken as it begins: a session may be closed long after its end, when its number is another process's. Undefined: it could not be begun, or has ended. */
const identityOf = (pid: number | undefined): ProcessIdentity | undefined => (pid === undefined ? undefined : identify(pid))

async function endProgram(runc: ProcessIdentity | undefined, clock: Clock): Promise<void> {
  if (runc) await endExec(runc, clock)
}
