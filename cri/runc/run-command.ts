/** Short commands: arguments in, bounded output and exit code out. No shell. */
import { spawn } from 'node:child_process'
import type { Clock } from '#base/clock.ts'
import { CodedError, hasCode } from '#base/errors.ts'

export interface CommandResult { exitCode: number; stdout: Buffer; stderr: Buffer }
export interface CommandOptions {
  clock: Clock
  /** Killed with SIGKILL and rejected with CRI_TIMEOUT after this. Default 60 s. */
  timeoutMs?: number
  cwd?: string
  env?: Record<string, string>
  input?: string
  /** Kept of each stream; the rest is read and dropped. Default 1 MiB. */
  outputBytesMax?: number
}

/** Resolves whatever the exit code. Rejects with CRI_FAILED when the program is missing, CRI_TIMEOUT when it hangs. */
export function runCommand(argv: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const [program = '', ...args] = argv
  const { clock, timeoutMs = 60_000, outputBytesMax = 1 << 20 } = options
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      env: { PATH: SEARCH_PATH, ...options.env },
    })
    const stdout = new BoundedOutput(outputBytesMax)
    const stderr = new BoundedOutput(outputBytesMax)
    let timedOut = false
    const cancel = clock.after(timeoutMs, () => {
      timedOut = true
      child.kill('SIGKILL')
    })
    child.stdout?.on('data', (chunk: Buffer) => stdout.add(chunk))
    child.stderr?.on('data', (chunk: Buffer) => stderr.add(chunk))
    // A child that ends before it read its input is told by its exit code, not by EPIPE.
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input)
    child.on('error', (error) => {
      cancel()
      reject(hasCode(error, 'ENOENT') ? new CodedError('CRI_FAILED', `${program} is not installed: install it and try again`, { cause: error }) : error)
    })
    child.on('close', (code, signal) => {
      cancel()
      if (timedOut) return reject(new CodedError('CRI_TIMEOUT', `${argv.slice(0, 3).join(' ')} did not end within ${timeoutMs} ms and was killed`))
      resolve({ exitCode: code ?? (signal === 'SIGKILL' ? 137 : 128), stdout: stdout.bytes(), stderr: stderr.bytes() })
    })
  })
}

/** Rejects with CRI_FAILED and the program's own words unless it exits 0. */
export async function mustRun(argv: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const result = await runCommand(argv, options)
  if (result.exitCode === 0) return result
  const words = (result.stderr.toString().trim() || result.stdout.toString().trim() || 'no output').slice(0, 4096)
  throw new CodedError('CRI_FAILED', `${argv[0]} failed with exit code ${result.exitCode}: ${words}`, { details: { exitCode: result.exitCode } })
}

/** Children get this and nothing of the agent's environment, which may hold secrets. */
export const SEARCH_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Keeps the first `limit` bytes. */
export class BoundedOutput {
  #chunks: Buffer[] = []
  #left: number

  constructor(limit: number) {
    this.#left = limit
  }

  add(chunk: Buffer): void {
    if (this.#left <= 0) return
    this.#chunks.push(chunk.subarray(0, this.#left))
    this.#left -= Math.min(this.#left, chunk.length)
  }

  bytes(): Buffer { return Buffer.concat(this.#chunks) }
}
