/** Functions: what the checker may resolve a call to, and the code behind it. Written as signatures in the libraries (`library/`). */
import type { CelType } from './type.ts'
import { BOOL, BYTES, DOUBLE, DURATION, DYN, INT, list, map, NULL, opaque, optional, param, STRING, TIMESTAMP, TYPE, typeOf, UINT } from './type.ts'
import type { CelValue } from './value.ts'

/** Arguments in order, the target first. Throws EvalError. */
export type Implementation = (...args: CelValue[]) => CelValue

export interface Overload {
  /** Upstream's name for it: what costs are kept under. */
  readonly id: string
  readonly fn: string
  /** Called as `target.fn(...)`; the target is the first of `args`. */
  readonly member: boolean
  readonly args: readonly CelType[]
  readonly result: CelType
  /** True where a type parameter occurs. */
  readonly generic: boolean
  readonly run: Implementation
}

/** By function name. */
export type FunctionTable = ReadonlyMap<string, readonly Overload[]>

/** `['contains_string', 'string->contains(string): bool', run]`; capital letters are type parameters. */
// biome: the implementations take what their signature says.
export type Declaration = readonly [id: string, signature: string, run: (...args: never[]) => CelValue]

export function functionTable(...libraries: readonly (readonly Declaration[])[]): Map<string, Overload[]> {
  const table = new Map<string, Overload[]>()
  for (const [id, signature, run] of libraries.flat()) {
    const overload = parseSignature(id, signature, run as Implementation)
    const same = table.get(overload.fn)
    if (same) same.push(overload)
    else table.set(overload.fn, [overload])
  }
  return table
}

const SIMPLE: Readonly<Record<string, CelType>> = {
  bool: BOOL, int: INT, uint: UINT, double: DOUBLE, string: STRING, bytes: BYTES, null: NULL, timestamp: TIMESTAMP, duration: DURATION, dyn: DYN, type: TYPE,
}

function parseSignature(id: string, signature: string, run: Implementation): Overload {
  const parts = /^(?:(.+)->)?([^(]+)\((.*)\): (.+)$/.exec(signature)
  if (!parts) throw new TypeError(`signature ${signature}`)
  const [, target, fn, args, result] = parts as unknown as [string, string | undefined, string, string, string]
  const types = splitTypes(args).map(parseType)
  if (target !== undefined) types.unshift(parseType(target))
  return { id, fn, member: target !== undefined, args: types, result: parseType(result), generic: /\b[A-Z]\b/.test(signature), run }
}

function splitTypes(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let start = 0
  for (let i = 0; i <= text.length; i++) {
    const c = text[i]
    if (c === '<') depth++
    else if (c === '>') depth--
    else if ((c === ',' && depth === 0) || c === undefined) {
      if (text.slice(start, i).trim() !== '') parts.push(text.slice(start, i).trim())
      start = i + 1
    }
  }
  return parts
}

function parseType(text: string): CelType {
  const generic = /^([\w.]+)<(.*)>$/.exec(text)
  if (generic) {
    const [first = DYN, second = DYN] = splitTypes(generic[2] as string).map(parseType)
    switch (generic[1]) {
      case 'list': return list(first)
      case 'map': return map(first, second)
      case 'optional': return optional(first)
      case 'type': return typeOf(first)
      default: throw new TypeError(`type ${text}`)
    }
  }
  return SIMPLE[text] ?? (/^[A-Z]$/.test(text) ? param(text) : opaque(text))
}
