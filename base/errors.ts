/**
 * Operational failures: something outside went wrong. `code` is stable and to be switched on, the message is for
 * people and names the thing and the mend, `cause` is what was underneath. Bugs use `assert`; expected outcomes are
 * returned as unions, not thrown.
 */
export class CodedError extends Error {
  readonly code: string
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: string, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'CodedError'
    this.code = code
    this.details = options.details ?? {}
  }
}

/** The user's input is wrong: main.ts prints the message alone and exits 2. */
export class UsageError extends CodedError {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('USAGE', message, options)
    this.name = 'UsageError'
  }
}

export function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && (error as { code?: unknown }).code === code
}

export function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value))
}

/** A broken invariant: a bug in skiff. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`bug: ${message}`)
}

/** Makes a switch over a union exhaustive at compile time. */
export function unreachable(value: never): never {
  throw new Error(`bug: unexpected ${JSON.stringify(value)}`)
}
