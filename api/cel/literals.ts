/** Literals that can never be right: patterns, durations and timestamps written into the expression are tried when it is compiled; elements of one list or map have one type. */
import type { Call, Expr, ListExpr, MapExpr } from './ast.ts'
import { children } from './ast.ts'
import type { Issue } from './issue.ts'
import { compileRegex } from './regex/regex.ts'
import { parseDateTime, parseGoDuration, TIMESTAMP_MAX, TIMESTAMP_MIN } from './time-text.ts'
import type { CelType } from './type.ts'
import { DYN, formatType, sameType } from './type.ts'
import type { CelValue } from './value.ts'
import { EvalError } from './value.ts'

/** `root` is checked and without fault. `mixed`: elements may be of different types. */
export function checkLiterals(root: Expr, mixed = false): Issue[] {
  const issues: Issue[] = []
  const todo: { e: Expr; mixed: boolean }[] = [{ e: root, mixed }]
  for (let next = todo.pop(); next; next = todo.pop()) {
    const { e } = next
    // The arguments of `format` are of any types, however deep.
    const below = next.mixed || (e.kind === 'call' && e.fn === 'format')
    for (const child of children(e)) todo.push({ e: child, mixed: below })
    if (e.kind === 'list' && !next.mixed) issues.push(...listIssues(e))
    if (e.kind === 'map' && !next.mixed) issues.push(...mapIssues(e))
    if (e.kind !== 'call') continue
    const literal = literalOf(e)
    if (literal && !isRight(e.fn, literal.value)) issues.push({ at: literal.at, message: `invalid ${e.fn} argument` })
  }
  return issues
}

/** What stands behind `?` counts as what it holds. */
function elementType({ type = DYN }: Expr, isOptional: boolean): CelType {
  return isOptional && type.kind === 'opaque' ? (type.params[0] ?? DYN) : type
}

const mismatch = (at: number, wanted: CelType, found: CelType): Issue => ({ at, message: `expected type '${formatType(wanted)}' but found '${formatType(found)}'` })

/** The first element that differs is told. */
function listIssues({ items, optional }: ListExpr): Issue[] {
  const types = items.map((item, i) => elementType(item, optional.has(i)))
  const odd = types.findIndex((type) => !sameType(types[0] as CelType, type))
  return odd < 0 ? [] : [mismatch((items[odd] as Expr).at, types[0] as CelType, types[odd] as CelType)]
}

function mapIssues({ entries }: MapExpr): Issue[] {
  const types = entries.map(({ key, value, optional }) => ({ key: elementType(key, false), value: elementType(value, optional) }))
  const [first] = types
  if (!first) return []
  return entries.flatMap((entry, i): Issue[] => {
    const { key, value } = types[i] as typeof first
    return [...(sameType(first.key, key) ? [] : [mismatch(entry.key.at, first.key, key)]), ...(sameType(first.value, value) ? [] : [mismatch(entry.value.at, first.value, value)])]
  })
}

function literalOf(e: Call): { value: CelValue; at: number } | undefined {
  const arg = e.fn === 'matches' ? e.args.at(-1) : e.fn === 'duration' || e.fn === 'timestamp' ? e.args[0] : undefined
  return arg?.kind === 'literal' ? arg : undefined
}

function isRight(fn: string, value: CelValue): boolean {
  const inRange = (nanos: bigint | undefined): boolean => nanos !== undefined && nanos >= TIMESTAMP_MIN && nanos <= TIMESTAMP_MAX
  switch (fn) {
    case 'duration': return typeof value === 'string' && parseGoDuration(value) !== undefined
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
