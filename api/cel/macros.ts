/** Calls that are rewritten while parsing: has, all, exists, exists_one, map, filter, their two-variable forms, optMap, optFlatMap, cel.bind. */
import type { Call, Comprehension, Expr, Ident } from './ast.ts'
import { ACCUMULATOR, children, copy, qualifiedName, UNUSED_ITER_VAR } from './ast.ts'
import { SyntaxIssue } from './issue.ts'

/** Returns undefined where the call is no macro after all. `budget` bounds what is copied: chains of optMap double at each step. */
export type Macro = (call: Call, budget: CopyBudget) => Expr | undefined

/** Most nodes that the macros of one expression may copy. */
const COPIES_MAX = 50_000

export class CopyBudget {
  #left = COPIES_MAX
  copy(e: Expr): Expr {
    const todo = [e]
    for (let next = todo.pop(); next; next = todo.pop()) {
      if (--this.#left < 0) throw new SyntaxIssue(e.at, `macros make the expression too large: more than ${COPIES_MAX} nodes are copied`)
      todo.push(...children(next))
    }
    return copy(e)
  }
}

/** By `name/arguments`, with `.` in front where there is a target. */
export type MacroSet = ReadonlyMap<string, Macro>

export function expandMacro(macros: MacroSet, call: Call, budget: CopyBudget): Expr {
  const expanded = macros.get(`${call.target ? '.' : ''}${call.fn}/${call.args.length}`)?.(call, budget)
  if (!expanded) return call
  expanded.written = { fn: call.fn, target: call.target, args: call.args }
  return expanded
}

const accu = (at: number): Ident => ({ kind: 'ident', at, name: ACCUMULATOR })
const bool = (at: number, value: boolean): Expr => ({ kind: 'literal', at, value })
const int = (at: number, value: bigint): Expr => ({ kind: 'literal', at, value })
const fn = (at: number, name: string, ...args: Expr[]): Call => ({ kind: 'call', at, fn: name, target: undefined, args })
const emptyList = (at: number): Expr => ({ kind: 'list', at, items: [], optional: new Set() })
const singleton = (at: number, item: Expr): Expr => ({ kind: 'list', at, items: [item], optional: new Set() })

function variable(e: Expr | undefined, message: string): string {
  if (e?.kind !== 'ident' || e.name.startsWith('.')) throw new SyntaxIssue(e?.at ?? 0, message)
  return e.name
}

/** Names of the accumulator, today's and the one before. */
const RESERVED_NAMES: ReadonlySet<string> = new Set([ACCUMULATOR, '__result__'])

type Parts = Pick<Comprehension, 'init' | 'condition' | 'step' | 'result'>

/** `range.macro(x, body...)` and `range.macro(i, x, body...)` share everything but the number of variables. */
function overRange(variables: 1 | 2, parts: (at: number, bodies: Expr[], iterVar: string) => Parts, noName = 'argument must be a simple name'): Macro {
  return (call) => {
    const names = call.args.slice(0, variables).map((arg) => variable(arg, noName))
    const taken = names.findIndex((name) => RESERVED_NAMES.has(name))
    if (taken >= 0) throw new SyntaxIssue(call.args[taken]?.at ?? call.at, 'iteration variable overwrites accumulator variable')
    if (variables === 2 && names[0] === names[1]) throw new SyntaxIssue(call.args[1]?.at ?? call.at, `duplicate variable name: ${names[0]}`)
    const iterVar = names[0] as string
    return { kind: 'comprehension', at: call.at, range: call.target as Expr, iterVar, iterVar2: names[1], accuVar: ACCUMULATOR, ...parts(call.at, call.args.slice(variables), iterVar) }
  }
}

const all = (at: number, [body]: Expr[]): Parts => ({
  init: bool(at, true), condition: fn(at, '@not_strictly_false', accu(at)), step: fn(at, '_&&_', accu(at), body as Expr), result: accu(at),
})
const exists = (at: number, [body]: Expr[]): Parts => ({
  init: bool(at, false), condition: fn(at, '@not_strictly_false', fn(at, '!_', accu(at))), step: fn(at, '_||_', accu(at), body as Expr), result: accu(at),
})
const existsOne = (at: number, [body]: Expr[]): Parts => ({
  init: int(at, 0n), condition: bool(at, true), step: fn(at, '_?_:_', body as Expr, fn(at, '_+_', accu(at), int(at, 1n)), accu(at)), result: fn(at, '_==_', accu(at), int(at, 1n)),
})

/** `bodies` is `[transform]` or `[filter, transform]`. */
function collect(init: (at: number) => Expr, add: (at: number, transform: Expr, iterVar: string) => Expr) {
  return (at: number, bodies: Expr[], iterVar: string): Parts => {
    const step = add(at, bodies.at(-1) as Expr, iterVar)
    return { init: init(at), condition: bool(at, true), step: bodies.length > 1 ? fn(at, '_?_:_', bodies[0] as Expr, step, accu(at)) : step, result: accu(at) }
  }
}
const toList = collect(emptyList, (at, transform) => fn(at, '_+_', accu(at), singleton(at, transform)))
const emptyMap = (at: number): Expr => ({ kind: 'map', at, entries: [] })
const toMap = collect(emptyMap, (at, transform, iterVar) => fn(at, 'cel.@mapInsert', accu(at), { kind: 'ident', at, name: iterVar }, transform))
const toMapEntries = collect(emptyMap, (at, transform) => fn(at, 'cel.@mapInsert', accu(at), transform))

const filter: Macro = (call) => {
  const name = variable(call.args[0], 'argument is not an identifier')
  const { at } = call
  const keep = fn(at, '_+_', accu(at), singleton(at, { kind: 'ident', at: call.args[0]?.at ?? at, name }))
  return {
    kind: 'comprehension', at, range: call.target as Expr, iterVar: name, iterVar2: undefined, accuVar: ACCUMULATOR,
    init: emptyList(at), condition: bool(at, true), step: fn(at, '_?_:_', call.args[1] as Expr, keep, accu(at)), result: accu(at),
  }
}

/** The test stands where the macro does: that is what complaints point to. */
const has: Macro = ({ at, args: [arg] }) => {
  if (arg?.kind !== 'select') throw new SyntaxIssue(arg?.at ?? 0, 'invalid argument to has() macro')
  return { ...arg, at, testOnly: true }
}

/** A name for one value: a fold over nothing whose accumulator has the name. */
const bind = (at: number, name: string, value: Expr, body: Expr): Expr => ({
  kind: 'comprehension', at, range: emptyList(at), iterVar: UNUSED_ITER_VAR, iterVar2: undefined, accuVar: name,
  init: value, condition: bool(at, false), step: { kind: 'ident', at, name }, result: body,
})

function optionalMap(fnName: string, wrap: (at: number, e: Expr) => Expr): Macro {
  return ({ at, target, args }, budget) => {
    const name = variable(args[0], `${fnName}() variable name must be a simple identifier`)
    const value: Call = { kind: 'call', at, fn: 'value', target: budget.copy(target as Expr), args: [] }
    const present: Call = { kind: 'call', at, fn: 'hasValue', target, args: [] }
    return fn(at, '_?_:_', present, wrap(at, bind(at, name, value, args[1] as Expr)), fn(at, 'optional.none'))
  }
}

const celBind: Macro = ({ at, target, args }) => {
  if (target === undefined || qualifiedName(target) !== 'cel') return undefined
  return bind(at, variable(args[0], 'cel.bind() variable names must be simple identifiers'), args[1] as Expr, args[2] as Expr)
}

const STANDARD: readonly (readonly [string, Macro])[] = [
  ['has/1', has],
  ['.all/2', overRange(1, all)],
  ['.exists/2', overRange(1, exists)],
  ['.exists_one/2', overRange(1, existsOne)],
  ['.existsOne/2', overRange(1, existsOne)],
  ['.map/2', overRange(1, toList, 'argument is not an identifier')],
  ['.map/3', overRange(1, toList, 'argument is not an identifier')],
  ['.filter/2', filter],
]

const TWO_VARIABLES: readonly (readonly [string, Macro])[] = [
  ['.all/3', overRange(2, all)],
  ['.exists/3', overRange(2, exists)],
  ['.exists_one/3', overRange(2, existsOne)],
  ['.existsOne/3', overRange(2, existsOne)],
  ['.transformList/3', overRange(2, toList)],
  ['.transformList/4', overRange(2, toList)],
  ['.transformMap/3', overRange(2, toMap)],
  ['.transformMap/4', overRange(2, toMap)],
  ['.transformMapEntry/3', overRange(2, toMapEntries)],
  ['.transformMapEntry/4', overRange(2, toMapEntries)],
]

const SORTED = '@__sortBy_input__'
const sortBy: Macro = ({ at, target, args }, budget) => {
  const input = (): Expr => ({ kind: 'ident', at, name: SORTED })
  const keys = overRange(1, toList, 'argument is not an identifier')({ kind: 'call', at, fn: 'map', target: input(), args }, budget) as Expr
  return bind(at, SORTED, target as Expr, { kind: 'call', at, fn: '@sortByAssociatedKeys', target: input(), args: [keys] })
}

const OPTIONALS: readonly (readonly [string, Macro])[] = [
  ['.optMap/2', optionalMap('optMap', (at, e) => fn(at, 'optional.of', e))],
  ['.optFlatMap/2', optionalMap('optFlatMap', (_at, e) => e)],
]

/** What Kubernetes 1.36 has. */
export const KUBERNETES_MACROS: MacroSet = new Map([...STANDARD, ...TWO_VARIABLES, ...OPTIONALS, ['.sortBy/2', sortBy] as const])
/** ... and, for selectors of devices, `cel.bind`. */
export const DEVICE_MACROS: MacroSet = new Map([...KUBERNETES_MACROS, ['.bind/3', celBind] as const])
/** With what the CEL specification has beyond it. */
export const ALL_MACROS: MacroSet = DEVICE_MACROS
