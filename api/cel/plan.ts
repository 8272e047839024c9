/** A checked expression as closures. Costs are charged as upstream's cost tracker charges them. */
import type { Call, Comprehension, Expr, ListExpr, MapExpr, Select, StructExpr } from './ast.ts'
import { UNUSED_ITER_VAR } from './ast.ts'
import { callCost } from './call-cost.ts'
import type { Frame } from './frame.ts'
import { isEvalError } from './frame.ts'
import { fromJson } from './json-value.ts'
import { show } from './library/show.ts'
import type { Overload } from './overload.ts'
import type { CelType } from './type.ts'
import { DYN, isDyn } from './type.ts'
import type { CelValue } from './value.ts'
import { ArrayList, CelList, CelMap, EntryMap, EvalError, mapKey, noSuchOverload, Optional, StructValue, TypeValue, typeName, Uint } from './value.ts'

export type Eval = (f: Frame) => CelValue

const SELECT_COST = 1
const LIST_COST = 10
const MAP_COST = 30
const STRUCT_COST = 40

export function plan(e: Expr, variables: ReadonlyMap<string, CelType>): Eval { return new Planner(variables).plan(e) }

/** Values known before evaluation cost nothing. */
const constants = new WeakMap<Eval, { value: CelValue }>()
function constant(value: CelValue): Eval {
  const run: Eval = () => value
  constants.set(run, { value })
  return run
}

class Planner {
  #slots = 0
  readonly #variables: ReadonlyMap<string, CelType>
  readonly #globals = new Map<string, Eval>()
  readonly #locals: [string, Eval][] = []

  constructor(variables: ReadonlyMap<string, CelType>) { this.#variables = variables }

  plan(e: Expr): Eval {
    switch (e.kind) {
      case 'literal': return constant(e.value)
      case 'ident': return e.constant === undefined ? this.#variable(e.name) : constant(e.constant)
      case 'select': return this.#select(e)
      case 'call': return this.#call(e)
      case 'list': return this.#list(e)
      case 'map': return this.#map(e)
      case 'struct': return this.#struct(e)
      case 'comprehension': return e.range.kind === 'list' && e.iterVar === UNUSED_ITER_VAR ? this.#bind(e) : this.#comprehension(e)
    }
  }

  #variable(name: string): Eval {
    for (let i = this.#locals.length - 1; i >= 0; i--) {
      const [local, run] = this.#locals[i] as [string, Eval]
      if (local === name) return run
    }
    const key = name.startsWith('.') ? name.slice(1) : name
    const known = this.#globals.get(key)
    if (known) return known
    const slot = this.#slots++
    const type = this.#variables.get(key) ?? DYN
    const run: Eval = (f) => {
      f.charge(SELECT_COST)
      const ready = f.slots[slot]
      if (ready !== undefined) return ready
      const given = f.bindings[key]
      if (given === undefined) throw new EvalError(`no such attribute(s): ${key}`)
      const value = fromJson(given, type)
      f.slots[slot] = value
      return value
    }
    this.#globals.set(key, run)
    return run
  }

  /** A field or index of anything that is no attribute costs one more. */
  #operandCost(e: Expr): number { return isAttribute(e) ? SELECT_COST : 2 * SELECT_COST }

  /** Upstream's tracker does not see the attribute itself where another one leads to it (branches of `?:`, indexes). */
  #unobserved(e: Expr): Eval {
    const run = this.plan(e)
    if (!isAttribute(e)) return run
    return (f) => {
      const v = run(f)
      f.cost -= SELECT_COST
      return v
    }
  }

  #select(e: Select): Eval {
    const operand = this.plan(e.operand)
    const { field } = e
    if (e.testOnly) {
      return (f) => {
        const v = operand(f)
        if (v instanceof Optional) return v.value !== undefined && v.value instanceof CelMap && v.value.hasField(field)
        return v instanceof CelMap && v.hasField(field)
      }
    }
    const cost = this.#operandCost(e.operand)
    return (f) => {
      const v = operand(f)
      f.charge(cost)
      if (v instanceof CelMap) {
        const found = v.field(field)
        if (found !== undefined) return found
      } else if (v instanceof Optional) return selectOptional(v, field)
      throw new EvalError(`no such key: ${field}`)
    }
  }

  #call(e: Call): Eval {
    switch (e.fn) {
      case '_&&_': return this.#logical(e, false)
      case '_||_': return this.#logical(e, true)
      case '_?_:_': return this.#conditional(e)
      case '@not_strictly_false': return this.#notStrictlyFalse(e)
      case '_[_]': return this.#index(e)
      case '_?._': {
        const [operand, { value: field }] = e.args as [Expr, Expr & { value: string }]
        const run = this.plan(operand)
        const cost = this.#operandCost(operand)
        return (f) => {
          const v = run(f)
          f.charge(cost)
          return selectOptional(v, field)
        }
      }
      case '_[?_]': return this.#optionalIndex(e)
      case 'or': case 'orValue':
        if (e.overloads?.some((o) => o.id.startsWith('optional_or'))) return this.#optionalOr(e)
        break
      case '@in': {
        const set = this.#constantSet(e)
        if (set) return set
        break
      }
      default:
    }
    return this.#function(e)
  }

  /** Either side may decide alone; an error counts only if the other side does not decide. */
  #logical(e: Call, decisive: boolean): Eval {
    const [left, right] = e.args.map((arg) => this.plan(arg)) as [Eval, Eval]
    return (f) => {
      let error: EvalError
      try {
        const a = left(f)
        if (a === decisive) return decisive
        if (a === !decisive) {
          const b = right(f)
          if (typeof b === 'boolean') return b
          throw noSuchOverload()
        }
        error = noSuchOverload()
      } catch (thrown) {
        if (!isEvalError(thrown)) throw thrown
        error = thrown
      }
      let b: CelValue
      try {
        b = right(f)
      } catch (thrown) {
        // The left side's error is the one told; what is no error of the expression passes.
        if (!isEvalError(thrown)) throw thrown
        throw error
      }
      if (b === decisive) return decisive
      throw error
    }
  }

  #conditional(e: Call): Eval {
    const [condition, truthy, falsy] = e.args.map((arg, i) => (i === 0 ? this.plan(arg) : this.#unobserved(arg))) as [Eval, Eval, Eval]
    return (f) => {
      const v = condition(f)
      if (v === true) return truthy(f)
      if (v === false) return falsy(f)
      throw noSuchOverload()
    }
  }

  /** Loop conditions: an error in the accumulator does not end the loop. */
  #notStrictlyFalse(e: Call): Eval {
    const [arg] = e.args.map((a) => this.plan(a)) as [Eval]
    return (f) => {
      try {
        f.charge(1)
        const v = arg(f)
        return typeof v === 'boolean' ? v : true
      } catch (thrown) {
        if (!isEvalError(thrown)) throw thrown
        return true
      }
    }
  }

  #index(e: Call): Eval {
    const [operand, index] = e.args as [Expr, Expr]
    const [run, at] = [this.plan(operand), this.#unobserved(index)]
    const cost = this.#operandCost(operand)
    return (f) => {
      const v = run(f)
      const key = at(f)
      f.charge(cost)
      if (v instanceof Optional) return v.value === undefined ? v : indexOptional(v.value, key)
      const found = lookUp(v, key)
      if (found === undefined) throw new EvalError(v instanceof CelList ? `index out of bounds: ${show(key)}` : `no such key: ${show(key)}`)
      return found
    }
  }

  #optionalIndex(e: Call): Eval {
    const [operand, index] = e.args as [Expr, Expr]
    const [run, at] = [this.plan(operand), this.#unobserved(index)]
    const cost = this.#operandCost(operand)
    return (f) => {
      const v = run(f)
      const key = at(f)
      f.charge(cost)
      if (v instanceof Optional) return v.value === undefined ? v : indexOptional(v.value, key)
      return indexOptional(v, key)
    }
  }

  #optionalOr(e: Call): Eval {
    const first = this.plan(e.target as Expr)
    const second = this.plan(e.args[0] as Expr)
    const unwrap = e.fn === 'orValue'
    return (f) => {
      const v = first(f)
      if (!(v instanceof Optional)) throw noSuchOverload()
      if (v.value === undefined) return second(f)
      return unwrap ? v.value : v
    }
  }

  /** `x in [constants]` by a set, where all are scalars. */
  #constantSet(e: Call): Eval | undefined {
    const [item, container] = e.args as [Expr, Expr]
    if (container.kind !== 'list' || container.optional.size > 0 || !container.items.every((i) => i.kind === 'literal')) return undefined
    const keys = new Set<string | bigint | boolean>()
    for (const literal of container.items) {
      const value = literal.kind === 'literal' ? literal.value : null
      if (typeof value !== 'string' && typeof value !== 'bigint' && typeof value !== 'boolean') return undefined
      keys.add(value)
    }
    const run = this.plan(item)
    return (f) => {
      const v = run(f)
      if (typeof v === 'number') return Number.isInteger(v) && keys.has(BigInt(v))
      if (v instanceof Uint) return keys.has(v.value)
      return (typeof v === 'string' || typeof v === 'bigint' || typeof v === 'boolean') && keys.has(v)
    }
  }

  #function(e: Call): Eval {
    const operands = e.target ? [e.target, ...e.args] : e.args
    const args = operands.map((arg) => this.plan(arg))
    const overloads = e.overloads ?? []
    const sole = overloads.length === 1 ? (overloads[0] as Overload) : undefined
    // With a single candidate and arguments of known types nothing has to be looked at again.
    const certain = sole !== undefined && operands.every((arg, i) => isCertain(arg.type ?? DYN, sole.args[i] as CelType))
    const only = args.length === 1 ? constants.get(args[0] as Eval) : undefined
    const known = only && CONVERSIONS.has(e.fn) ? overloads.find((o) => o.args.length === 1 && accepts(o.args[0] as CelType, only.value)) : undefined
    if (only && known) return constant(known.run(only.value))
    if (certain) return direct(sole, args)
    const candidates = overloads.filter((o) => o.args.length === args.length)
    const costs = new Map(candidates.map((o) => [o, callCost(o)]))
    return (f) => {
      const values = args.map((arg) => arg(f))
      const chosen = candidates.find((o) => o.args.every((type, i) => accepts(type, values[i] as CelValue)))
      if (!chosen) throw noSuchOverload()
      const result = chosen.run(...values)
      f.charge(costs.get(chosen)?.(values, result) ?? 1)
      return result
    }
  }

  #list(e: ListExpr): Eval {
    const items = e.items.map((item) => this.plan(item))
    const { optional } = e
    if (optional.size === 0) {
      const known = items.map((item) => constants.get(item))
      if (known.every((k) => k !== undefined)) return constant(new ArrayList(known.map((k) => k.value)))
      return (f) => {
        const values = items.map((item) => item(f))
        f.charge(LIST_COST)
        return new ArrayList(values)
      }
    }
    return (f) => {
      const values: CelValue[] = []
      items.forEach((item, i) => {
        const v = item(f)
        if (!optional.has(i)) values.push(v)
        else if (!(v instanceof Optional)) throw new EvalError(`cannot initialize optional list element from non-optional value ${show(v)}`)
        else if (v.value !== undefined) values.push(v.value)
      })
      f.charge(LIST_COST)
      return new ArrayList(values)
    }
  }

  #map(e: MapExpr): Eval {
    const entries = e.entries.map((x) => ({ key: this.plan(x.key), value: this.plan(x.value), optional: x.optional }))
    const fixed = entries.map((x) => [constants.get(x.key), constants.get(x.value)] as const)
    if (fixed.every(([k, v]) => k && v) && e.entries.every((x) => !x.optional)) {
      const pairs = fixed.map(([k, v]) => [k?.value ?? null, v?.value ?? null] as const)
      const unique = new Set(pairs.map(([k]) => mapKey(k)))
      if (unique.size === pairs.length) return constant(EntryMap.of(pairs))
    }
    return (f) => {
      const made = new Map<string | bigint | boolean, readonly [CelValue, CelValue]>()
      for (const { key, value, optional } of entries) {
        const k = key(f)
        let v = value(f)
        if (optional) {
          if (!(v instanceof Optional)) throw new EvalError(`cannot initialize optional entry '${show(k)}' from non-optional value ${show(v)}`)
          if (v.value === undefined) continue
          v = v.value
        }
        const hash = mapKey(k)
        if (made.has(hash)) throw new EvalError(`Failed with repeated key: ${show(k)}`)
        made.set(hash, [k, v])
      }
      f.charge(MAP_COST)
      return new EntryMap(made)
    }
  }

  #struct(e: StructExpr): Eval {
    const fields = e.fields.map((x) => ({ name: x.name, value: this.plan(x.value), optional: x.optional }))
    const { name: typeName } = e
    return (f) => {
      const made = new Map<string, CelValue>()
      for (const { name, value, optional } of fields) {
        const v = value(f)
        if (!optional) made.set(name, v)
        else if (!(v instanceof Optional)) throw new EvalError(`cannot initialize optional entry '${name}' from non-optional value ${show(v)}`)
        else if (v.value !== undefined) made.set(name, v.value)
      }
      f.charge(STRUCT_COST)
      return new StructValue(typeName, made)
    }
  }

  /** cel.bind: the value is computed when first used, once. */
  #bind(e: Comprehension): Eval {
    const init = this.plan(e.init)
    const slot = this.#slots++
    this.#locals.push([e.accuVar, (f) => {
      f.charge(SELECT_COST)
      const ready = f.slots[slot]
      if (ready !== undefined) return ready
      const value = init(f)
      f.slots[slot] = value
      return value
    }])
    const result = this.plan(e.result)
    this.#locals.pop()
    return (f) => {
      const before = f.slots[slot]
      f.slots[slot] = undefined
      const value = result(f)
      f.slots[slot] = before
      return value
    }
  }

  #comprehension(e: Comprehension): Eval {
    const range = this.plan(e.range)
    const init = this.plan(e.init)
    const starts = e.init.kind
    const collects = starts === 'list' || starts === 'map'
    const accu = this.#slots++
    this.#locals.push([e.accuVar, (f) => {
      f.charge(SELECT_COST)
      return readAccumulator(f, accu)
    }])
    const first = this.#iterationVariable(e.iterVar)
    const second = e.iterVar2 === undefined ? undefined : this.#iterationVariable(e.iterVar2)
    const endless = e.condition.kind === 'literal'
    const condition = this.plan(e.condition)
    const step = collects ? this.#collectStep(e.step, accu) : this.plan(e.step)
    this.#locals.length -= second === undefined ? 1 : 2
    const result = this.plan(e.result)
    this.#locals.pop()
    return (f) => {
      const over = range(f)
      const { slots } = f
      slots[accu] = starts === 'list' ? new ArrayList([]) : starts === 'map' ? EntryMap.of([]) : init(f)
      iterate(over, second !== undefined, (a, b) => {
        slots[first] = a
        if (second !== undefined) slots[second] = b
        if (condition(f) === false) return false
        try {
          slots[accu] = step(f)
        } catch (thrown) {
          // An error stays in the accumulator: a later element may still decide (`all`, `exists`).
          if (!isEvalError(thrown) || endless) throw thrown
          slots[accu] = thrown as unknown as CelValue
        }
        return true
      })
      return result(f)
    }
  }

  #iterationVariable(name: string): number {
    const slot = this.#slots++
    this.#locals.push([name, (f) => {
      f.charge(SELECT_COST)
      return f.slots[slot] as CelValue
    }])
    return slot
  }

  /** `accu + [x]` and map inserts change the accumulator in place: nobody else sees it before the loop ends. */
  #collectStep(e: Expr, accu: number): Eval {
    if (e.kind === 'call' && e.fn === '_?_:_') {
      const [condition, then] = e.args as [Expr, Expr]
      const keep = this.plan(condition)
      const add = this.#collectStep(then, accu)
      return (f) => {
        const v = keep(f)
        if (v === true) return add(f)
        if (v !== false) throw noSuchOverload()
        return f.slots[accu] as CelValue
      }
    }
    if (e.kind === 'call' && e.fn === '_+_' && e.args[1]?.kind === 'list') {
      const item = this.plan(e.args[1].items[0] as Expr)
      const cost = SELECT_COST + 1 + (constants.has(item) ? 0 : LIST_COST)
      return (f) => {
        const v = item(f)
        f.charge(cost)
        const list = f.slots[accu] as ArrayList
        ;(list.items as CelValue[]).push(v)
        return list
      }
    }
    const [key, value] = (e as Call).args.slice(1).map((arg) => this.plan(arg)) as [Eval, Eval | undefined]
    return (f) => {
      const target = (f.slots[accu] as EntryMap).entries() as Map<string | bigint | boolean, readonly [CelValue, CelValue]>
      const insert = (k: CelValue, v: CelValue): void => {
        const hash = mapKey(k)
        if (target.has(hash)) throw new EvalError(`insert failed: key ${show(k)} already exists`)
        target.set(hash, [k, v])
      }
      const k = key(f)
      if (value) insert(k, value(f))
      else if (k instanceof CelMap) for (const each of k.keys()) insert(each, k.find(each) as CelValue)
      else throw noSuchOverload()
      f.charge(SELECT_COST + 1)
      return f.slots[accu] as CelValue
    }
  }
}

/** What upstream resolves as one attribute: a name with fields and indexes. */
function isAttribute(e: Expr): boolean {
  return (e.kind === 'ident' && e.constant === undefined) || (e.kind === 'select' && !e.testOnly) || (e.kind === 'call' && (e.fn === '_[_]' || e.fn === '_[?_]' || e.fn === '_?._'))
}

/** Of a constant they are constants. */
const CONVERSIONS: ReadonlySet<string> = new Set(['bool', 'bytes', 'double', 'duration', 'dyn', 'int', 'string', 'timestamp', 'type', 'uint'])

function readAccumulator(f: Frame, slot: number): CelValue {
  const v: unknown = f.slots[slot]
  if (isEvalError(v)) throw v
  return v as CelValue
}

/** Stops when `turn` says false. */
function iterate(over: CelValue, two: boolean, turn: (a: CelValue, b: CelValue) => boolean): void {
  if (over instanceof CelList) {
    const { size } = over
    for (let i = 0; i < size; i++) {
      const item = over.at(i)
      if (!turn(two ? BigInt(i) : item, item)) return
    }
  } else if (over instanceof CelMap) {
    for (const key of over.keys()) if (!turn(key, two ? (over.find(key) as CelValue) : null)) return
  } else throw new EvalError(`got '${typeName(over)}', expected iterable type`)
}

/** Types are known, but a nullable value may still be null: no overload takes that. */
function direct(o: Overload, args: readonly Eval[]): Eval {
  const { run } = o
  const cost = callCost(o)
  const [a, b] = args as [Eval, Eval]
  const takesNull = o.args.map((type) => type.kind === 'param' || type.kind === 'null' || isDyn(type))
  const [firstTakesNull, secondTakesNull] = takesNull
  if (args.length === 1) {
    return (f) => {
      const x = a(f)
      if (x === null && !firstTakesNull) throw noSuchOverload()
      const v = run(x)
      f.charge(cost ? cost([x], v) : 1)
      return v
    }
  }
  if (args.length === 2) {
    return (f) => {
      const x = a(f)
      const y = b(f)
      if ((x === null && !firstTakesNull) || (y === null && !secondTakesNull)) throw noSuchOverload()
      const v = run(x, y)
      f.charge(cost ? cost([x, y], v) : 1)
      return v
    }
  }
  return (f) => {
    const values = args.map((arg) => arg(f))
    if (values.some((v, i) => v === null && !takesNull[i])) throw noSuchOverload()
    const v = run(...values)
    f.charge(cost ? cost(values, v) : 1)
    return v
  }
}

/** True where a value of static type `given` needs no look at run time to be taken for `wanted`. */
function isCertain(given: CelType, wanted: CelType): boolean {
  if (wanted.kind === 'param' || isDyn(wanted)) return true
  if (isDyn(given) || given.kind === 'null' || given.kind === 'error') return false
  return given.kind === wanted.kind && (given.kind !== 'opaque' || given.name === (wanted as { name?: string }).name)
}

function accepts(type: CelType, v: CelValue): boolean {
  switch (type.kind) {
    case 'string': case 'bool': return typeof v === (type.kind === 'bool' ? 'boolean' : 'string')
    case 'int': return typeof v === 'bigint'
    case 'double': return typeof v === 'number'
    case 'list': return v instanceof CelList
    case 'map': return v instanceof CelMap
    case 'type': return v instanceof TypeValue
    case 'null': return v === null
    case 'opaque': case 'object': return typeName(v) === type.name
    case 'uint': return v instanceof Uint
    case 'bytes': return v instanceof Uint8Array
    case 'timestamp': return typeName(v) === 'google.protobuf.Timestamp'
    case 'duration': return typeName(v) === 'google.protobuf.Duration'
    default: return true
  }
}

function selectOptional(v: CelValue, field: string): Optional {
  const inner = v instanceof Optional ? v.value : v
  const found = inner instanceof CelMap ? inner.field(field) : undefined
  return found === undefined ? Optional.none : new Optional(found)
}

const indexOptional = (v: CelValue, key: CelValue): Optional => {
  const found = v instanceof CelList || v instanceof CelMap ? lookUp(v, key) : undefined
  return found === undefined ? Optional.none : new Optional(found)
}

function lookUp(v: CelValue, key: CelValue): CelValue | undefined {
  if (v instanceof CelMap) return v.find(key)
  if (!(v instanceof CelList)) return undefined
  const index = listIndex(key)
  return index >= 0 && index < v.size ? v.at(index) : undefined
}

function listIndex(key: CelValue): number {
  if (typeof key === 'bigint') return Number(key)
  if (key instanceof Uint) return Number(key.value)
  if (typeof key === 'number' && Number.isInteger(key)) return key
  throw new EvalError(`unsupported index type '${typeName(key)}' in list`)
}
