/**
 * How much an expression can cost at worst, from the bounds of its variables' types: what decides whether a validation rule
 * may be stored. Follows cel-go's checker.Cost, quirks included: any difference would refuse rules that upstream takes.
 */
import type { Call, Comprehension, Expr } from './ast.ts'
import { ACCUMULATOR } from './ast.ts'
import { REGEX_LENGTH, STRING_TRAVERSAL } from './call-cost.ts'
import { callEstimate } from './call-estimate.ts'
import type { SizeRange } from './size-range.ts'
import { factor, fixed, plus, times, union, UNBOUNDED, UNKNOWN_SIZE } from './size-range.ts'
import type { CelType } from './type.ts'
import { DYN } from './type.ts'
import { codePoints } from './value.ts'

export interface CostEstimate { min: number; max: number }

/** `root` is the type of `self` and `oldSelf`; its `max`s bound what is below. `named`: of a map, what is under any name in it; nothing is known of that otherwise. */
export function estimateCost(ast: Expr, root: CelType | undefined, named: (map: CelType) => CelType | undefined = () => undefined): CostEstimate {
  return new Estimator(root, named).cost(ast)
}

const ZERO = fixed(0)
const ONE = fixed(1)
const LIST_BASE = fixed(10)
const MAP_BASE = fixed(30)
const STRUCT_BASE = fixed(40)

/** Sizes of what a container holds. */
interface Entries { kind: 'list' | 'map'; key: SizeRange; value: SizeRange }

/** A node with what is known of it; `path` leads from a variable through fields, '@items', '@keys', '@values'. */
interface Local { path: readonly string[]; size: SizeRange | undefined; entries: Entries | undefined }

class Estimator {
  readonly #root: CelType | undefined
  readonly #paths = new Map<Expr, readonly string[]>()
  readonly #sizes = new Map<Expr, SizeRange>()
  readonly #entries = new Map<Expr, Entries>()
  readonly #locals = new Map<string, Local[]>()

  readonly #named: (map: CelType) => CelType | undefined

  constructor(root: CelType | undefined, named: (map: CelType) => CelType | undefined) {
    this.#root = root
    this.#named = named
  }

  cost(e: Expr): SizeRange {
    switch (e.kind) {
      case 'literal': return ZERO
      case 'ident':
        this.#paths.set(e, this.#local(e.name)?.path ?? [e.name])
        return ONE
      case 'select': {
        const operand = this.cost(e.operand)
        if (e.testOnly) return operand
        const kind = (e.operand.type ?? DYN).kind
        this.#paths.set(e, [...this.#path(e.operand), e.field])
        return kind === 'map' || kind === 'object' || kind === 'param' ? plus(operand, ONE) : operand
      }
      case 'call': return this.#call(e)
      case 'list': {
        let sum = ZERO
        let item: SizeRange = { min: e.items.length === 0 ? 0 : UNBOUNDED, max: 0 }
        for (const x of e.items) {
          sum = plus(sum, this.cost(x))
          item = union(item, this.#sizeOrUnknown(x))
        }
        this.#entries.set(e, { kind: 'list', key: ONE, value: item })
        return plus(sum, LIST_BASE)
      }
      case 'map': {
        let sum = ZERO
        const least = e.entries.length === 0 ? 0 : UNBOUNDED
        let key: SizeRange = { min: least, max: 0 }
        let value: SizeRange = { min: least, max: 0 }
        for (const x of e.entries) {
          sum = plus(plus(sum, this.cost(x.key)), this.cost(x.value))
          key = union(key, this.#sizeOrUnknown(x.key))
          value = union(value, this.#sizeOrUnknown(x.value))
        }
        this.#entries.set(e, { kind: 'map', key, value })
        return plus(sum, MAP_BASE)
      }
      case 'struct': return e.fields.reduce((sum, x) => plus(sum, this.cost(x.value)), STRUCT_BASE)
      case 'comprehension': return isBind(e) ? this.#bind(e) : this.#comprehension(e)
    }
  }

  #local(name: string): Local | undefined { return this.#locals.get(name)?.at(-1) }

  #push(name: string, local: Local): void {
    const stack = this.#locals.get(name)
    if (stack) stack.push(local)
    else this.#locals.set(name, [local])
  }

  #path(e: Expr): readonly string[] {
    const local = e.kind === 'ident' ? this.#local(e.name) : undefined
    return local?.path ?? this.#paths.get(e) ?? []
  }

  /** The bound the types give for what a path leads to; the variable itself is always the root. */
  #boundAt(path: readonly string[]): SizeRange | undefined {
    if (path.length === 0) return undefined
    let type = this.#root
    for (const step of path.slice(1)) {
      if (step === '@items' || step === '@values') type = type?.kind === 'list' ? type.element : type?.kind === 'map' ? type.value : undefined
      else if (step === '@keys') type = type?.kind === 'map' ? type.key : undefined
      else type = type?.kind === 'object' ? type.field(step)?.type : type && this.#named(type)
      if (!type) return undefined
    }
    return type && { min: 0, max: 'max' in type ? (type.max ?? 0) : 0 }
  }

  #size(e: Expr): SizeRange | undefined {
    const known = this.#sizes.get(e)
    if (known) return known
    if (e.kind === 'literal') return fixed(typeof e.value === 'string' ? codePoints(e.value) : e.value instanceof Uint8Array ? e.value.length : 1)
    if (e.kind === 'list') return fixed(e.items.length)
    if (e.kind === 'map') return fixed(e.entries.length)
    const bound = this.#boundAt(this.#path(e))
    if (bound) {
      this.#sizes.set(e, bound)
      return bound
    }
    if (isScalar(e.type ?? DYN)) return ONE
    return e.kind === 'ident' ? this.#local(e.name)?.size : undefined
  }

  #sizeOrUnknown(e: Expr): SizeRange { return this.#size(e) ?? UNKNOWN_SIZE }

  /** Accumulators have no path of their own. */
  #nodeSize(e: Expr): SizeRange { return this.#sizeOrUnknown(e) }

  #entriesOf(e: Expr): Entries | undefined { return this.#entries.get(e) ?? (e.kind === 'ident' ? this.#local(e.name)?.entries : undefined) }

  #setSize(e: Expr, size: SizeRange | undefined): void { if (size) this.#sizes.set(e, size) }

  #call(e: Call): SizeRange {
    if (e.fn === 'dyn' && !e.target) {
      const [arg] = e.args as [Expr]
      const cost = plus(ONE, this.cost(arg))
      this.#copySizes(e, arg)
      return cost
    }
    const argCosts = e.args.map((arg) => this.cost(arg))
    const overloads = e.overloads ?? []
    if (overloads.length === 0) return ZERO
    const targetCost = e.target ? this.cost(e.target) : ZERO
    let cost: SizeRange = { min: UNBOUNDED, max: 0 }
    let result: SizeRange | undefined
    for (const { id } of overloads) {
      const estimate = this.#overload(e, id, argCosts)
      cost = union(cost, estimate.cost)
      if (estimate.result) result = result ? union(result, estimate.result) : estimate.result
      const [operand] = e.args
      if (operand && (id === 'index_list' || id === 'index_map')) {
        result = this.#entriesOf(operand)?.value
        this.#paths.set(e, [...this.#path(operand), id === 'index_list' ? '@items' : '@values'])
      }
      result ??= this.#size(e)
    }
    this.#setSize(e, result)
    return plus(targetCost, cost)
  }

  #overload(e: Call, id: string, argCosts: readonly SizeRange[]): { cost: SizeRange; result?: SizeRange | undefined } {
    const { target, args } = e
    const argCost = argCosts.reduce(plus, ZERO)
    const own = callEstimate(id, {
      call: e, target, args, size: (x) => this.#nodeSize(x), computedSize: (x) => this.#size(x),
      elementSize: (x) => {
        const type = x.type ?? DYN
        return type.kind === 'list' ? { type: type.element, size: this.#boundAt([...this.#path(x), '@items']) ?? UNKNOWN_SIZE } : undefined
      },
    })
    if (own) return { cost: plus(own.cost, argCost), result: own.result }
    const [first, second, third] = args as [Expr, Expr, Expr]
    const traversal = (size: SizeRange): SizeRange => factor(size, STRING_TRAVERSAL)
    switch (id) {
      case 'string_format':
        if (target) return { cost: plus(traversal(this.#nodeSize(target)), argCost) }
        break
      case 'string_to_bytes': {
        const size = this.#nodeSize(first)
        return { cost: plus(traversal(size), argCost), result: { min: size.min, max: Math.min(size.max * 4, UNBOUNDED) } }
      }
      case 'bytes_to_string': {
        const size = this.#nodeSize(first)
        return { cost: plus(traversal(size), argCost), result: { min: Math.floor(size.min / 4), max: size.max } }
      }
      case 'strings_quote': {
        const size = this.#nodeSize(first)
        return { cost: plus(traversal(size), argCost), result: { min: size.min + 2, max: Math.min(size.max * 2 + 2, UNBOUNDED) } }
      }
      case 'starts_with_string': case 'ends_with_string': return { cost: plus(traversal(this.#nodeSize(first)), argCost) }
      case 'in_list': return { cost: plus(this.#nodeSize(second), argCost) }
      case 'matches_string':
        if (target) return { cost: plus(times(traversal(plus(this.#nodeSize(target), ONE)), factor(this.#nodeSize(first), REGEX_LENGTH)), argCost) }
        break
      case 'contains_string':
        if (target) return { cost: plus(times(traversal(this.#nodeSize(target)), traversal(this.#nodeSize(first))), argCost) }
        break
      case 'logical_or': case 'logical_and': return { cost: { min: (argCosts[0] as SizeRange).min, max: argCost.max } }
      case 'conditional': {
        const entries = unionEntries(this.#entriesOf(second), this.#entriesOf(third))
        if (entries) this.#entries.set(e, entries)
        const [condition, truthy, falsy] = argCosts as [SizeRange, SizeRange, SizeRange]
        return { cost: plus(condition, union(truthy, falsy)), result: union(this.#nodeSize(second), this.#nodeSize(third)) }
      }
      case 'add_string': case 'add_bytes': case 'add_list': {
        const size = plus(this.#nodeSize(first), this.#nodeSize(second))
        const entries = unionEntries(this.#entriesOf(first), this.#entriesOf(second))
        if (entries) this.#entries.set(e, entries)
        return { cost: plus(id === 'add_list' ? ONE : traversal(size), argCost), result: size }
      }
      default:
        if (/^(?:(?:less|greater)(?:_equals)?_(?:string|bytes)|equals|not_equals)$/.test(id)) {
          const max = Math.min(this.#nodeSize(first).max, this.#nodeSize(second).max)
          return { cost: plus(traversal({ min: max > 0 ? 1 : 0, max }), argCost) }
        }
    }
    return { cost: plus(ONE, argCost) }
  }

  #copySizes(to: Expr, from: Expr): void {
    this.#setSize(to, this.#size(from))
    const entries = this.#entriesOf(from)
    if (entries) this.#entries.set(to, entries)
  }

  #bind(e: Comprehension): SizeRange {
    let sum = plus(this.cost(e.range), this.cost(e.init))
    this.#push(e.accuVar, { path: this.#path(e.init), size: this.#size(e.init), entries: this.#entriesOf(e.init) })
    sum = plus(sum, this.cost(e.result))
    this.#locals.get(e.accuVar)?.pop()
    this.#copySizes(e, e.result)
    return sum
  }

  #comprehension(e: Comprehension): SizeRange {
    let sum = plus(this.cost(e.range), this.cost(e.init))
    this.#push(e.accuVar, { path: this.#path(e.init), size: this.#size(e.init), entries: this.#entriesOf(e.init) })
    const entries = this.#entriesOf(e.range)
    const kind = entries?.kind ?? (e.range.type ?? DYN).kind
    const path = this.#path(e.range)
    const iteration = (what: 'key' | 'value'): Local => {
      const step = what === 'value' ? (kind === 'list' ? '@items' : '@values') : kind === 'list' ? '@indices' : '@keys'
      return { path: [...path, step], size: entries?.[what], entries: undefined }
    }
    if (e.iterVar2 === undefined) this.#push(e.iterVar, iteration(kind === 'list' ? 'value' : 'key'))
    else {
      this.#push(e.iterVar, iteration('key'))
      this.#push(e.iterVar2, iteration('value'))
    }
    const turn = plus(this.cost(e.condition), this.cost(e.step))
    this.#locals.get(e.iterVar)?.pop()
    if (e.iterVar2 !== undefined) this.#locals.get(e.iterVar2)?.pop()
    sum = plus(sum, this.cost(e.result))
    this.#locals.get(e.accuVar)?.pop()
    const turns = this.#sizeOrUnknown(e.range)
    sum = plus(sum, times(turns, turn))
    if (e.init.kind === 'literal') this.#setSize(e, this.#size(e.init))
    else if (e.init.kind === 'list' || e.init.kind === 'map') {
      this.#setSize(e, turns)
      const stepEntries = this.#entriesOf(e.step)
      if (stepEntries) this.#entries.set(e, stepEntries)
    }
    return sum
  }
}

const isBind = (e: Comprehension): boolean => e.range.kind === 'list' && e.range.items.length === 0 && e.condition.kind === 'literal' && e.condition.value === false && e.accuVar !== ACCUMULATOR

function unionEntries(a: Entries | undefined, b: Entries | undefined): Entries | undefined {
  return a && b && { kind: a.kind, key: union(a.key, b.key), value: union(a.value, b.value) }
}

function isScalar(t: CelType): boolean {
  if (t.kind === 'opaque') return t.name === 'optional_type' && isScalar(t.params[0] ?? DYN)
  return t.kind === 'bool' || t.kind === 'double' || t.kind === 'duration' || t.kind === 'int' || t.kind === 'timestamp' || t.kind === 'uint'
}
