/** Literals that can never be right: patterns, durations and timestamps written into the expression are tried when it is compiled. */
import type { Call, Expr } from './ast.ts'
import { children } from './ast.ts'
import type { Issue } from './issue.ts'
import { compileRegex } from './regex/regex.ts'
import { parseDateTime, parseGoDuration, TIMESTAMP_MAX, TIMESTAMP_MIN } from './time-text.ts'
import type { CelValue } from './value.ts'
import { EvalError } from './value.ts'

export function checkLiterals(root: Expr): Issue[] {
  const issues: Issue[] = []
  const todo = [root]
  for (let e = todo.pop(); e; e = todo.pop()) {
    todo.push(...children(e))
    if (e.kind !== 'call') continue
    const literal = literalOf(e)
    if (literal && !isRight(e.fn, literal.value)) issues.push({ at: literal.at, message: `invalid ${e.fn} argument` })
  }
  return issues
}

function literalOf(e: Call): { value: CelValue; at: number } | undefined {
  const arg = e.fn === 'matches' ? e.args.at(-1) : e.fn === 'duration' || e.fn === 'timestamp' ? e.args[0] : undefined
  return arg?.kind === 'literal' ? arg : undefined
}

function isRight(fn: string, value: CelValue): boolean {
  const inRange = (nanos: bigint | undefined): boolean => nanos !== undefined && nanos >= TIMESTAMP_MIN && nanos <= TIMESTAMP_MAX
  switch (fn) {
    case 'duration': return typeof value !== 'string' || parseGoDuration(value) !== undefined
    case 'timestamp': return typeof value === 'bigint' ? inRange(value * 1_000_000_000n) : typeof value !== 'string' || inRange(parseDateTime(value))
    default: return typeof value !== 'string' || isRegex(value)
  }
}

function isRegex(pattern: string): boolean {
  try {
    compileRegex(pattern)
    return true
  } catch (e) {
    if (e instanceof EvalError) return false
    throw e
  }
}
