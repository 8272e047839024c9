/** Short-lived system commands (mount, umount): no shell, output bounded, the error names what failed. */
import { CodedError } from '#base/errors.ts'

const OUTPUT_BYTES_MAX = 64 * 1024
const TIMEOUT_MS = 30_000

export async function runCommand(file: string, args: readonly string[], { timeoutMs = TIMEOUT_MS }: { timeoutMs?: number } = {}): Promise<string> {
  const { execFile } = await import('node:child_process')
  return new Promise((resolve, reject) => {
    execFile(file, [...args], { timeout: timeoutMs, maxBuffer: OUTPUT_BYTES_MAX, env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout)
      const missing = (error as { code?: unknown }).code === 'ENOENT'
      reject(new CodedError('COMMAND_FAILED', missing ? `${file} is not installed` : `${file} ${args.join(' ')}: ${stderr.trim() || error.message}`, { cause: error }))
    })
  })
}
