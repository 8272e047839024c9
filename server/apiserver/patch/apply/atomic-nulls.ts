/**
 * What Go writes as null inside atomic values of built-in kinds (`rules` of a flow schema, `resource` of an ingress' backend): lists
 * and pointers without omitempty. An applier that leaves such a field out says something else than what is stored, and is told so.
 */
import type { FieldType, ModelSchema, SchemaSet } from '#api/schema/schema.ts'
import { isObject, type Json } from '../result.ts'

/** The object as Go's encoding has it where values are atomic; itself where that adds nothing. */
export function withAtomicNulls(object: Json, model: string, schema: SchemaSet): Json {
  return expand(object, { kind: 'ref', model }, schema, false) as Json
}

const holders = new WeakMap<ModelSchema, boolean>()

/** Whether a null may be missing at or below the type: most types need no walk. */
function mayLack(type: FieldType | undefined, schema: SchemaSet, isAtomic: boolean): boolean {
  switch (type?.kind) {
    case 'list': return mayLack(type.items, schema, isAtomic || type.listType === 'atomic')
    // A map of itself stands for what no schema tells of.
    case 'map': return type.values !== type && mayLack(type.values, schema, isAtomic || type.mapType === 'atomic')
    case 'ref': {
      const model = schema.model(type.model)
      if (!model) return false
      const known = holders.get(model)
      if (known !== undefined) return known
      // What contains itself is walked, too.
      holders.set(model, true)
      const found = model.nulls.length > 0 || Object.values(model.fields).some((field) => mayLack(field.type, schema, isAtomic))
      holders.set(model, found)
      return found
    }
    default: return false
  }
}

function expand(value: unknown, type: FieldType | undefined, schema: SchemaSet, isAtomic: boolean): unknown {
  if (!type || !mayLack(type, schema, isAtomic)) return value
  if (type.kind === 'list' && Array.isArray(value)) return mapped(value as unknown[], (item) => expand(item, type.items, schema, isAtomic || type.listType === 'atomic'))
  if (!isObject(value)) return value
  if (type.kind === 'map') return members(value, () => type.values, schema, isAtomic || type.mapType === 'atomic')
  const model = type.kind === 'ref' ? schema.model(type.model) : undefined
  if (!model) return value
  const within = isAtomic || ((type.kind === 'ref' ? type.structType : undefined) ?? model.structType) === 'atomic'
  const expanded = members(value, (key) => model.fields[key]?.type, schema, within)
  const missing = within ? model.nulls.filter((name) => value[name] === undefined) : []
  return missing.length === 0 ? expanded : { ...expanded, ...Object.fromEntries(missing.map((name) => [name, null])) }
}

function mapped(items: readonly unknown[], change: (item: unknown) => unknown): readonly unknown[] {
  const out = items.map(change)
  return out.every((item, i) => item === items[i]) ? items : out
}

function members(object: Json, typeOf: (key: string) => FieldType | undefined, schema: SchemaSet, isAtomic: boolean): Json {
  let out: Json | undefined
  for (const key of Object.keys(object)) {
    const value = expand(object[key], typeOf(key), schema, isAtomic)
    if (value !== object[key]) (out ??= { ...object })[key] = value
  }
  return out ?? object
}
