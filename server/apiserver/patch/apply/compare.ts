/** What differs between two objects, as field paths: the ground of ownership and conflicts. Pure. */
import type { FieldSchema, FieldType, ModelSchema, SchemaSet } from '#api/schema/schema.ts'
import { getOwn, isObject, type Json } from '../result.ts'
import { emptySet, insertPath, type FieldSet } from './field-set.ts'
import { elementOf, type ListType } from './path-element.ts'
import { fieldType, shapeOf } from './type-shape.ts'

export interface Comparison { added: FieldSet; modified: FieldSet; removed: FieldSet }

export function compareObjects(before: Json, after: Json, model: string, schema: SchemaSet): Comparison {
  const comparison: Comparison = { added: emptySet(), modified: emptySet(), removed: emptySet() }
  new Comparer(schema, comparison).value(before, after, { kind: 'ref', model })
  return comparison
}

class Comparer {
  readonly #schema: SchemaSet
  readonly #to: Comparison
  readonly #path: string[] = []

  constructor(schema: SchemaSet, to: Comparison) {
    this.#schema = schema
    this.#to = to
  }

  /** At least one side is there. */
  value(before: unknown, after: unknown, type: FieldType | undefined): void {
    if (before === after) return
    const shape = shapeOf(type, this.#schema)
    if (shape.kind === 'list' && isListLike(before) && isListLike(after)) return this.#list(before ?? [], after ?? [], shape.list)
    if ((shape.kind === 'struct' || shape.kind === 'map') && isMapLike(before) && isMapLike(after)) {
      return this.#members(before ?? {}, after ?? {}, shape.kind === 'struct' ? shape.model : shape.values)
    }
    if (before !== undefined && after !== undefined && !equalJson(before, after)) insertPath(this.#to.modified, this.#path)
  }

  #members(before: Json, after: Json, types: ModelSchema | FieldType): void {
    for (const key of Object.keys(before)) {
      if (before[key] !== undefined) this.#member(key, before[key], getOwn(after, key), types)
    }
    for (const key of Object.keys(after)) {
      if (after[key] !== undefined && getOwn(before, key) === undefined) this.#member(key, undefined, after[key], types)
    }
  }

  #member(key: string, before: unknown, after: unknown, types: ModelSchema | FieldType): void {
    if (before === after) return
    const field = 'fields' in types ? types.fields[key] : undefined
    const type = 'fields' in types ? fieldType(types, key) : types
    this.#path.push(`f:${key}`)
    this.value(before, after, type)
    // A struct that Go's zero object has too is neither added nor removed as a whole.
    if (!('fields' in types && field && isInZeroObject(types, key, field) && shapeOf(type, this.#schema).kind !== 'leaf')) this.#presence(before, after)
    this.#path.pop()
  }

  #presence(before: unknown, after: unknown): void {
    if (before === undefined) insertPath(this.#to.added, this.#path)
    else if (after === undefined) insertPath(this.#to.removed, this.#path)
  }

  #list(before: readonly unknown[], after: readonly unknown[], list: ListType): void {
    const old = this.#index(before, list)
    const now = this.#index(after, list)
    if (!old || !now) {
      if (!equalJson(before, after)) insertPath(this.#to.modified, this.#path)
      return
    }
    for (const [element, items] of old) this.#item(element, items, now.get(element), list)
    for (const [element, items] of now) if (!old.has(element)) this.#item(element, undefined, items, list)
  }

  #item(element: string, before: unknown[] | undefined, after: unknown[] | undefined, list: ListType): void {
    this.#path.push(element)
    if ((before?.length ?? 1) > 1 || (after?.length ?? 1) > 1) {
      // Items of one key are compared together, as a leaf.
      if (before && after && !equalJson(before, after)) insertPath(this.#to.modified, this.#path)
    } else this.value(before?.[0], after?.[0], list.items)
    this.#presence(before, after)
    this.#path.pop()
  }

  /** Undefined when some item has no name. */
  #index(items: readonly unknown[], list: ListType): Map<string, unknown[]> | undefined {
    const index = new Map<string, unknown[]>()
    for (const item of items) {
      const element = elementOf(item, list, this.#schema)
      if (element === undefined) return undefined
      const same = index.get(element)
      if (same) same.push(item)
      else index.set(element, [item])
    }
    return index
  }
}

const isMapLike = (value: unknown): value is Json | undefined => value === undefined || isObject(value)
const isListLike = (value: unknown): value is unknown[] | undefined => value === undefined || Array.isArray(value)

/** Structs that are no pointers in Go: an object has them before anybody sets them. */
const ALWAYS_THERE = new Set(['metadata', 'spec', 'status', 'template', 'strategy', 'updateStrategy', 'jobTemplate', 'loadBalancer', 'daemonEndpoints', 'nodeInfo'])

function isInZeroObject(model: ModelSchema, key: string, field: FieldSchema): boolean {
  if (model.isCustom || field.type.kind === 'scalar') return false
  if (field.required) return true
  if (field.type.kind !== 'ref' || !ALWAYS_THERE.has(key)) return false
  return !NULLABLE.has(model.model)
}

/** Models whose member of such a name is a pointer. */
const NULLABLE = new Set(['ReplicationControllerSpec', 'PersistentVolumeClaimTemplate'])

/** Equality of JSON values; a member that is undefined counts as absent. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (Array.isArray(a) || Array.isArray(b)) return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => equalJson(item, b[i]))
  if (!isObject(a) || !isObject(b)) return false
  for (const key of Object.keys(a)) if (!equalJson(a[key], getOwn(b, key))) return false
  for (const key of Object.keys(b)) if (b[key] !== undefined && getOwn(a, key) === undefined) return false
  return true
}
