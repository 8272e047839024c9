/** A checked expression as closures. Costs are charged as upstream's cost tracker charges them. */
import type { Call, Comprehension, Expr, Select } from './ast.ts'
import { UNUSED_ITER_VAR } from './ast.ts'
import type { Eval } from './constant.ts'
import { constant, constantOf } from './constant.ts'
import type { Frame } from './frame.ts'
import { isEvalError } from './frame.ts'
import { fromJson } from './json-value.ts'
import { show } from './library/show.ts'
import { indexOptional, lookUp, noFieldOfList, selectOptional } from './look-up.ts'
import { notIterable } from './misfit.ts'
import { planConstantSet, planFunction } from './plan-call.ts'
import { LIST_COST, planList, planMap, planStruct } from './plan-literal.ts'
import type { CelType } from './type.ts'
import { DYN } from './type.ts'
import type { CelValue } from './value.ts'
import { ArrayList, CelList, CelMap, EntryMap, EvalError, mapKey, noSuchOverload, Optional } from './value.ts'

const SELECT_COST = 1

export function plan(e: Expr, variables: ReadonlyMap<string, CelType>): Eval { return new Planner(variables).plan(e) }

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
      case 'list': return planList(e, e.items.map((item) => this.plan(item)))
      case 'map': return planMap(e, (part) => this.plan(part))
      case 'struct': return planStruct(e, (part) => this.plan(part))
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
      // The test is free; that something other than an attribute is asked is not.
      const extra = this.#operandCost(e.operand) - SELECT_COST
      return (f) => {
        const v = operand(f)
        f.charge(extra)
        if (v instanceof Optional) return v.value !== undefined && v.value instanceof CelMap && v.value.hasField(field)
        if (v instanceof CelList) throw noFieldOfList()
        return v instanceof CelMap && v.hasField(field)
      }
    }
    const cost = this.#operandCost(e.operand)
    return (f) => {
      const v = operand(f)
      if (v instanceof Optional) return found(f, cost, selectOptional(v, field))
      f.charge(cost)
      if (v instanceof CelMap) {
        const member = v.field(field)
        if (member !== undefined) return member
      }
      throw v instanceof CelList ? noFieldOfList() : new EvalError(`no such key: ${field}`)
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
        return (f) => found(f, cost, selectOptional(run(f), field))
      }
      case '_[?_]': return this.#optionalIndex(e)
      case 'or': case 'orValue':
        if (e.overloads?.some((o) => o.id.startsWith('optional_or'))) return this.#optionalOr(e)
        break
      default:
    }
    const args = (e.target ? [e.target, ...e.args] : e.args).map((arg) => this.plan(arg))
    const set = e.fn === '@in' ? planConstantSet(e, ...(args as [Eval, Eval])) : undefined
    return set ?? planFunction(e, args)
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
      if (v instanceof Optional) return found(f, cost, v.value === undefined ? v : indexOptional(v.value, key))
      f.charge(cost)
      const member = lookUp(v, key)
      if (member === undefined) throw new EvalError(v instanceof CelList ? `index out of bounds: ${show(key)}` : `no such key: ${show(key)}`)
      return member
    }
  }

  #optionalIndex(e: Call): Eval {
    const [operand, index] = e.args as [Expr, Expr]
    const [run, at] = [this.plan(operand), this.#unobserved(index)]
    const cost = this.#operandCost(operand)
    return (f) => {
      const v = run(f)
      const key = at(f)
      if (v instanceof Optional) return found(f, cost, v.value === undefined ? v : indexOptional(v.value, key))
      return found(f, cost, indexOptional(v, key))
    }
  }

  #optionalOr(e: Call): Eval {
    const first = this.plan(e.target as Expr)
    const second = this.plan(e.args[0] as Expr)
    const unwrap = e.fn === 'orValue'
    return (f) => {
      const v = first(f)
      // What is no optional after all is there.
      if (!(v instanceof Optional)) return v
      if (v.value === undefined) return second(f)
      return unwrap ? v.value : v
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
      const cost = SELECT_COST + 1 + (constantOf(item) ? 0 : LIST_COST)
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

/** What is looked for and not there costs nothing by itself. */
function found(f: Frame, cost: number, v: Optional): Optional {
  f.charge(v.value === undefined ? cost - SELECT_COST : cost)
  return v
}

/** What upstream resolves as one attribute: a name with fields and indexes. */
function isAttribute(e: Expr): boolean {
  return (e.kind === 'ident' && e.constant === undefined) || (e.kind === 'select' && !e.testOnly) || (e.kind === 'call' && (e.fn === '_[_]' || e.fn === '_[?_]' || e.fn === '_?._'))
}

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
  } else throw notIterable(over, two ? 2 : 1)
}

