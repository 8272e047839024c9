/** Takes the members of a set out of an object, or everything but them. Pure. */
import type { FieldType, SchemaSet } from '#api/schema/schema.ts'
import { isObject, setOwn, type Json } from '../result.ts'
import { isEmptySet, type FieldSet } from './field-set.ts'
import { elementOf } from './path-element.ts'
import { memberType, shapeOf, type Shape } from './type-shape.ts'

type Mode = 'remove' | 'extract'

export function removeItems(object: Json, set: FieldSet, model: string, schema: SchemaSet): Json {
  return (walk(object, set, { kind: 'ref', model }, schema, 'remove') ?? {}) as Json
}

/** What the set's members are in the object: the configuration an applier would have to send to own just these. */
export function extractItems(object: Json, set: FieldSet, model: string, schema: SchemaSet): Json {
  return (walk(object, set, { kind: 'ref', model }, schema, 'extract') ?? {}) as Json
}

/** Undefined when nothing is left. */
function walk(value: unknown, set: FieldSet, type: FieldType | undefined, schema: SchemaSet, mode: Mode): unknown {
  const shape = shapeOf(type, schema)
  if (shape.kind === 'list' && Array.isArray(value)) {
    const kept: unknown[] = []
    for (const item of value as unknown[]) {
      const element = elementOf(item, shape.list, schema)
      const next = element === undefined ? (mode === 'remove' ? item : undefined) : member(item, element, set, shape, schema, mode)
      if (next !== undefined) kept.push(next)
    }
    return kept.length > 0 ? kept : undefined
  }
  if ((shape.kind === 'struct' || shape.kind === 'map') && isObject(value)) {
    const kept: Json = {}
    let any = false
    for (const key of Object.keys(value)) {
      const next = member(value[key], `f:${key}`, set, shape, schema, mode)
      if (next === undefined) continue
      setOwn(kept, key, next)
      any = true
    }
    return any ? kept : undefined
  }
  return mode === 'extract' ? value : undefined
}

function member(value: unknown, element: string, set: FieldSet, shape: Shape, schema: SchemaSet, mode: Mode): unknown {
  const below = set.children.get(element)
  const type = memberType(shape, element)
  if (!below || isEmptySet(below)) return mode === 'remove' ? value : undefined
  // What has lost all it had is null, as in structured-merge-diff: it was somebody's, and is kept from being removed with what is around it.
  if (mode === 'remove') return below.own ? undefined : (walk(value, below, type, schema, mode) ?? null)
  return walk(value, below, type, schema, mode) ?? (below.own ? emptyOf(value) : undefined)
}

const emptyOf = (value: unknown): unknown => (Array.isArray(value) ? [] : isObject(value) ? {} : value)

/** Struct fields count as members when something below them is: `a` of `a.b`, where a is a field and no map key. */
export function withNamedFields(set: FieldSet, type: FieldType | undefined, schema: SchemaSet): FieldSet {
  const shape = shapeOf(type, schema)
  const children = new Map<string, FieldSet>()
  for (const [element, child] of set.children) {
    const below = withNamedFields(child, memberType(shape, element), schema)
    const named = shape.kind === 'struct' && element.startsWith('f:') && memberType(shape, element) !== undefined
    children.set(element, named ? { own: true, children: below.children } : below)
  }
  return { own: set.own, children }
}
