/** The parsed expression. The checker writes `type`, `overloads` and resolved names onto the nodes; nothing else changes them. */
import type { CelType } from './type.ts'
import type { CelValue } from './value.ts'
import type { Overload } from './overload.ts'

export interface Node {
  /** Offset in UTF-16 units of what an error about this node points at (upstream's: the operator, the bracket, the dot). */
  at: number
  type?: CelType
  /** The macro call this was written as, for printing. */
  written?: { fn: string; target: Expr | undefined; args: Expr[] }
}

export interface Literal extends Node { kind: 'literal'; value: CelValue }
export interface Ident extends Node { kind: 'ident'; name: string; /** Set by the checker for names that stand for a constant (types). */ constant?: CelValue }
export interface Select extends Node { kind: 'select'; operand: Expr; field: string; testOnly: boolean }
export interface Call extends Node { kind: 'call'; fn: string; target: Expr | undefined; args: Expr[]; overloads?: readonly Overload[] }
export interface ListExpr extends Node { kind: 'list'; items: Expr[]; /** Indexes of `[?x]` items. */ optional: ReadonlySet<number> }
export interface MapExpr extends Node { kind: 'map'; entries: { at: number; key: Expr; value: Expr; optional: boolean }[] }
export interface StructExpr extends Node { kind: 'struct'; name: string; fields: { at: number; name: string; value: Expr; optional: boolean }[] }
/** What all macros over ranges become: fold `range` into `accu`. With `iterVar2`, `iterVar` is the index or key. */
export interface Comprehension extends Node {
  kind: 'comprehension'
  range: Expr
  iterVar: string
  iterVar2: string | undefined
  accuVar: string
  init: Expr
  condition: Expr
  step: Expr
  result: Expr
}

export type Expr = Literal | Ident | Select | Call | ListExpr | MapExpr | StructExpr | Comprehension

/** A name no expression can write. */
export const ACCUMULATOR = '@result'
export const UNUSED_ITER_VAR = '#unused'

/** `a.b.c` as a dotted name; undefined if it is anything else. */
export function qualifiedName(e: Expr): string | undefined {
  if (e.kind === 'ident') return e.name
  if (e.kind !== 'select' || e.testOnly) return undefined
  const head = qualifiedName(e.operand)
  return head === undefined ? undefined : `${head}.${e.field}`
}

/** A deep copy without the checker's marks. */
export function copy(e: Expr): Expr {
  switch (e.kind) {
    case 'literal': case 'ident': return { ...e }
    case 'select': return { ...e, operand: copy(e.operand) }
    case 'call': return { ...e, target: e.target && copy(e.target), args: e.args.map(copy) }
    case 'list': return { ...e, items: e.items.map(copy) }
    case 'map': return { ...e, entries: e.entries.map((x) => ({ ...x, key: copy(x.key), value: copy(x.value) })) }
    case 'struct': return { ...e, fields: e.fields.map((x) => ({ ...x, value: copy(x.value) })) }
    case 'comprehension': return { ...e, range: copy(e.range), init: copy(e.init), condition: copy(e.condition), step: copy(e.step), result: copy(e.result) }
  }
}

export function children(e: Expr): Expr[] {
  switch (e.kind) {
    case 'literal': case 'ident': return []
    case 'select': return [e.operand]
    case 'call': return e.target ? [e.target, ...e.args] : e.args
    case 'list': return e.items
    case 'map': return e.entries.flatMap((x) => [x.key, x.value])
    case 'struct': return e.fields.map((x) => x.value)
    case 'comprehension': return [e.range, e.init, e.condition, e.step, e.result]
  }
}
