/** Short-lived system commands (mount, umount): no shell, output bounded, the error names what failed. */
import type { ExecFileException } from 'node:child_process'
import { CodedError } from '#base/errors.ts'

const OUTPUT_BYTES_MAX = 64 * 1024
const TIMEOUT_MS = 30_000

/** How a command ended that did not succeed; `output` is what it wrote to both streams, without the end of the line. */
export interface CommandFailure { how: string; output: string }

/** Throws COMMAND_FAILED, with a CommandFailure as its details. */
export async function runCommand(file: string, args: readonly string[], { timeoutMs = TIMEOUT_MS }: { timeoutMs?: number } = {}): Promise<string> {
  const { execFile } = await import('node:child_process')
  return new Promise((resolve, reject) => {
    execFile(file, [...args], { timeout: timeoutMs, maxBuffer: OUTPUT_BYTES_MAX, env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout)
      const how = ending(error, timeoutMs)
      const output = `${stdout}${stderr}`.trim()
      const missing = error.code === 'ENOENT'
      reject(new CodedError('COMMAND_FAILED', missing ? `${file} is not installed` : `${file} ${args.join(' ')}: ${stderr.trim() || how}`, { cause: error, details: { how, output } satisfies CommandFailure }))
    })
  })
}

/** In the words of Go's os/exec, which users know from kubelets. */
function ending({ code, signal, killed, message }: ExecFileException, timeoutMs: number): string {
  if (killed === true) return `it did not end within ${timeoutMs / 1000} s`
  if (typeof code === 'number') return `exit status ${code}`
  return typeof signal === 'string' ? `signal: ${signal}` : message
}
