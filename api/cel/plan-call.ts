/** Calls of functions: the overload is chosen by the types the checker found, or by the values where it could not tell. */
import type { Call } from './ast.ts'
import { callCost } from './call-cost.ts'
import type { Eval } from './constant.ts'
import { constant, constantOf } from './constant.ts'
import { misfit } from './misfit.ts'
import type { Overload } from './overload.ts'
import type { CelType } from './type.ts'
import { DYN, isDyn } from './type.ts'
import type { CelValue } from './value.ts'
import { ArrayList, CelList, CelMap, TypeValue, typeName, Uint } from './value.ts'

/** Of a constant they are constants. */
const CONVERSIONS: ReadonlySet<string> = new Set(['bool', 'bytes', 'double', 'duration', 'dyn', 'int', 'string', 'timestamp', 'type', 'uint'])

/** `args`: the target first. */
export function planFunction(e: Call, args: readonly Eval[]): Eval {
  const operands = e.target ? [e.target, ...e.args] : e.args
  const overloads = e.overloads ?? []
  const sole = overloads.length === 1 ? (overloads[0] as Overload) : undefined
  // With a single candidate and arguments of known types nothing has to be looked at again.
  const certain = sole !== undefined && operands.every((arg, i) => isCertain(arg.type ?? DYN, sole.args[i] as CelType))
  const only = args.length === 1 ? constantOf(args[0] as Eval) : undefined
  if (only && CONVERSIONS.has(e.fn)) {
    const known = overloads.find((o) => o.args.length === 1 && accepts(o.args[0] as CelType, only.value))
    if (!known) throw misfit(e.fn, [only.value])
    return constant(known.run(only.value))
  }
  if (certain) return direct(sole, args)
  const candidates = overloads.filter((o) => o.args.length === args.length)
  const costs = new Map(candidates.map((o) => [o, callCost(o, sole !== undefined)]))
  return (f) => {
    const values = args.map((arg) => arg(f))
    const chosen = candidates.find((o) => o.args.every((type, i) => accepts(type, values[i] as CelValue)))
    if (!chosen) throw misfit(e.fn, values)
    const result = chosen.run(...values)
    f.charge(costs.get(chosen)?.(values, result) ?? 1)
    return result
  }
}

/** `x in [constants]` by a set, where all are scalars; it costs nothing but `x`. Undefined: they are not. */
export function planConstantSet(e: Call, item: Eval, container: Eval): Eval | undefined {
  const list = e.overloads?.length === 1 ? constantOf(container)?.value : undefined
  if (!(list instanceof ArrayList)) return undefined
  if (list.size === 0) return constant(false)
  const keys = new Set<string | bigint | boolean | number>()
  for (const value of list) {
    const key = scalarKey(value)
    if (key === undefined) return undefined
    keys.add(key)
  }
  return (f) => {
    const key = scalarKey(item(f))
    return key !== undefined && keys.has(key)
  }
}

/** Equal numbers of whatever type have one key. */
function scalarKey(v: CelValue): string | bigint | boolean | number | undefined {
  if (typeof v === 'number') return Number.isInteger(v) ? BigInt(v) : v
  if (v instanceof Uint) return v.value
  return typeof v === 'string' || typeof v === 'bigint' || typeof v === 'boolean' ? v : undefined
}

/** Types are known, but a nullable value may still be null: no overload takes that. */
function direct(o: Overload, args: readonly Eval[]): Eval {
  const { run, fn } = o
  const cost = callCost(o, true)
  const [a, b] = args as [Eval, Eval]
  const takesNull = o.args.map((type) => type.kind === 'param' || type.kind === 'null' || isDyn(type))
  const [firstTakesNull, secondTakesNull] = takesNull
  if (args.length === 1) {
    return (f) => {
      const x = a(f)
      if (x === null && !firstTakesNull) throw misfit(fn, [x])
      const v = run(x)
      f.charge(cost ? cost([x], v) : 1)
      return v
    }
  }
  if (args.length === 2) {
    return (f) => {
      const x = a(f)
      const y = b(f)
      if ((x === null && !firstTakesNull) || (y === null && !secondTakesNull)) throw misfit(fn, [x, y])
      const v = run(x, y)
      f.charge(cost ? cost([x, y], v) : 1)
      return v
    }
  }
  return (f) => {
    const values = args.map((arg) => arg(f))
    if (values.some((v, i) => v === null && !takesNull[i])) throw misfit(fn, values)
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
