/**
 * The one way this folder (and the agent's proxy) runs the kernel's tools: `ip`, `bridge`, `nft`, `nsenter`. A test hands in
 * an Exec that enters a network namespace first, or one that records.
 */
import { spawn } from 'node:child_process'
import { CodedError } from '#base/errors.ts'

export interface ExecResult { code: number; stdout: string; stderr: string }

export interface ExecOptions {
  /** Written to standard input, which is then closed. */
  input?: string
  /** Default EXEC_MS_MAX; the tool is killed after it. */
  timeoutMs?: number
}

/** Resolves with the exit code whatever it is; rejects when the tool is missing (`TOOL_MISSING`) or hangs (`TOOL_TIMEOUT`). */
export type Exec = (argv: readonly string[], options?: ExecOptions) => Promise<ExecResult>

/** A rule set of 10,000 Services lists in under 20 MB; more than this is not our table. */
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024
/** nft needs 32 ms for 1,000 elements on x86, some ten times that on a board; a tool that takes this long hangs. */
const EXEC_MS_MAX = 30_000
/** Daemons are often started without sbin in their PATH; tools answer in English so that messages can be read. */
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }

export const systemExec: Exec = (argv, options = {}) => new Promise((resolve, reject) => {
  const [file, ...args] = argv
  if (file === undefined) return reject(new Error('bug: empty command'))
  const child = spawn(file, args, { env: ENVIRONMENT, stdio: ['pipe', 'pipe', 'pipe'], timeout: options.timeoutMs ?? EXEC_MS_MAX, killSignal: 'SIGKILL' })
  const out = { stdout: [] as Buffer[], stderr: [] as Buffer[], sizeBytes: 0 }
  const collect = (into: Buffer[]) => (chunk: Buffer) => {
    out.sizeBytes += chunk.length
    if (out.sizeBytes > OUTPUT_BYTES_MAX) child.kill('SIGKILL')
    else into.push(chunk)
  }
  child.stdout.on('data', collect(out.stdout))
  child.stderr.on('data', collect(out.stderr))
  // A tool that exits before it has read everything breaks the pipe; its exit code tells why.
  child.stdin.on('error', () => undefined)
  child.on('error', (error) => reject(new CodedError('TOOL_MISSING', `cannot run ${file}: ${error.message}; install the package that has it (iproute2, nftables, util-linux)`, { cause: error })))
  child.on('close', (code, signal) => {
    if (code === null) return reject(new CodedError('TOOL_TIMEOUT', `${file} ${args[0] ?? ''} was killed by ${signal}: it took too long or printed too much`))
    resolve({ code, stdout: Buffer.concat(out.stdout).toString(), stderr: Buffer.concat(out.stderr).toString() })
  })
  child.stdin.end(options.input ?? '')
})

/** Runs and insists on exit code 0; the error quotes what the tool said. */
export async function mustRun(exec: Exec, argv: readonly string[], options?: ExecOptions): Promise<string> {
  const result = await exec(argv, options)
  if (result.code !== 0) {
    throw new CodedError('TOOL_FAILED', `${argv.slice(0, 4).join(' ')} exited with ${result.code}: ${firstLines(result.stderr || result.stdout)}`, { details: { argv: [...argv] } })
  }
  return result.stdout
}

function firstLines(text: string): string {
  return text.trim().split('\n').slice(0, 3).join(' | ').slice(0, 500)
}
