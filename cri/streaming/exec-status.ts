/** The Status that ends an exec or attach session on its error channel (protocol v4 and later). */
import { asError } from '#base/errors.ts'

export interface ExecOutcome { exitCode: number }

export function statusOf(outcome: ExecOutcome): object {
  if (outcome.exitCode === 0) return { metadata: {}, status: 'Success' }
  return {
    metadata: {}, status: 'Failure', message: `command terminated with non-zero exit code: exit code ${outcome.exitCode}`, reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(outcome.exitCode) }] },
  }
}

/** As upstream's streaming server words it. */
export function failureStatus(error: unknown, kind: 'exec' | 'attach'): object {
  const message = `${kind === 'exec' ? 'error executing command in container' : 'error attaching to container'}: ${asError(error).message}`
  return { metadata: {}, status: 'Failure', message: `Internal error occurred: ${message}`, reason: 'InternalError', details: { causes: [{ message }] }, code: 500 }
}
