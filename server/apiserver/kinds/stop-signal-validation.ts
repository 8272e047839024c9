/** The signal that a container is asked to end with (KEP-4960). */
import type { PodSpec } from '#api/types/index.ts'
import { type FieldError, forbidden } from '../field-error.ts'
import { oneOf } from './check.ts'

const upTo = (name: string, last: number): string[] => [name, ...Array.from({ length: last }, (_, i) => `${name}${i + 1}`)]

const LINUX = [
  'SIGABRT', 'SIGALRM', 'SIGBUS', 'SIGCHLD', 'SIGCLD', 'SIGCONT', 'SIGFPE', 'SIGHUP', 'SIGILL', 'SIGINT', 'SIGIO', 'SIGIOT', 'SIGKILL', 'SIGPIPE', 'SIGPOLL', 'SIGPROF', 'SIGPWR', 'SIGQUIT', 'SIGSEGV', 'SIGSTKFLT', 'SIGSTOP',
  'SIGSYS', 'SIGTERM', 'SIGTRAP', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU', 'SIGURG', 'SIGUSR1', 'SIGUSR2', 'SIGVTALRM', 'SIGWINCH', 'SIGXCPU', 'SIGXFSZ',
  'SIGRTMIN', ...upTo('SIGRTMIN+', 15).slice(1), 'SIGRTMAX', ...upTo('SIGRTMAX-', 14).slice(1),
].sort()

const SIGNALS: Readonly<Record<string, readonly string[]>> = { linux: LINUX, windows: ['SIGKILL', 'SIGTERM'] }

/** `os`: without one nobody knows what the signal means. */
export function validateStopSignal(at: string, signal: string | undefined, os: PodSpec['os']): FieldError[] {
  if (signal === undefined) return []
  if (!os) return [forbidden(at, 'may not be set for containers with empty `spec.os.name`')]
  const known = Object.hasOwn(SIGNALS, os.name) ? SIGNALS[os.name] : undefined
  return known ? oneOf(at, signal, known, 'given') : []
}
