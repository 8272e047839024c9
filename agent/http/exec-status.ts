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

export function failureStatus(error: unknown): object {
  return { metadata: {}, status: 'Failure', message: `error executing command in container: ${asError(error).message}`, reason: 'InternalError', details: { causes: [{ message: asError(error).message }] }, code: 500 }
}
