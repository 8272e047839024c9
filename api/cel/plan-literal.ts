/** Lists, maps and structs that are written into an expression, from the steps of their parts. */
import type { ListExpr, MapExpr, StructExpr } from './ast.ts'
import type { Eval } from './constant.ts'
import { constant, constantOf } from './constant.ts'
import { show } from './library/show.ts'
import type { CelValue } from './value.ts'
import { ArrayList, EntryMap, EvalError, mapKey, Optional, StructValue } from './value.ts'

export const LIST_COST = 10
const MAP_COST = 30
const STRUCT_COST = 40

export function planList({ optional }: ListExpr, items: readonly Eval[]): Eval {
  if (optional.size === 0) {
    const known = items.map(constantOf)
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

export function planMap(e: MapExpr, step: (part: MapExpr['entries'][number]['key']) => Eval): Eval {
  const entries = e.entries.map((x) => ({ key: step(x.key), value: step(x.value), optional: x.optional }))
  const fixed = entries.map((x) => [constantOf(x.key), constantOf(x.value)] as const)
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

export function planStruct(e: StructExpr, step: (part: StructExpr['fields'][number]['value']) => Eval): Eval {
  const fields = e.fields.map((x) => ({ name: x.name, value: step(x.value), optional: x.optional }))
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
