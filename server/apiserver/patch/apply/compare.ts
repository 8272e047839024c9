/** What differs between two objects, as field paths: the ground of ownership and conflicts. Pure. */
import type { FieldType, ModelSchema, SchemaSet } from '#api/schema/schema.ts'
import { getOwn, isObject, type Json } from '../result.ts'
import { FieldSetWriter, type FieldSet } from './field-set.ts'
import { elementOf, type ListType } from './path-element.ts'
import { fieldType, shapeOf } from './type-shape.ts'

export interface Comparison { added: FieldSet; modified: FieldSet; removed: FieldSet }

export function compareObjects(before: Json, after: Json, model: string, schema: SchemaSet): Comparison {
  const comparer = new Comparer(schema)
  comparer.value(before, after, { kind: 'ref', model })
  return { added: comparer.added.set, modified: comparer.modified.set, removed: comparer.removed.set }
}

class Comparer {
  readonly #schema: SchemaSet
  readonly added = new FieldSetWriter()
  readonly modified = new FieldSetWriter()
  readonly removed = new FieldSetWriter()
  readonly #path: string[] = []

  constructor(schema: SchemaSet) {
    this.#schema = schema
  }

  /** At least one side is there. */
  value(given: unknown, wanted: unknown, type: FieldType | undefined): void {
    if (given === wanted) return
    const shape = shapeOf(type, this.#schema)
    const before = shape.kind === 'struct' ? withNulls(given, shape.model) : given
    const after = shape.kind === 'struct' ? withNulls(wanted, shape.model) : wanted
    // Null and nothing are empty lists and maps, but which of them it is counts where both are empty.
    if (isBare(before) && isBare(after)) return this.#leaf(before, after)
    if (shape.kind === 'list' && isListLike(before) && isListLike(after)) return this.#list(before ?? [], after ?? [], shape.list)
    if ((shape.kind === 'struct' || shape.kind === 'map') && isMapLike(before) && isMapLike(after)) {
      return this.#members(before ?? {}, after ?? {}, shape.kind === 'struct' ? shape.model : shape.values)
    }
    // Of no declared type, and an object on one side only: its members have come or gone as well.
    if (shape.kind === 'map' && isObject(before)) this.#members(before, {}, shape.values)
    if (shape.kind === 'map' && isObject(after)) this.#members({}, after, shape.values)
    this.#leaf(before, after)
  }

  #leaf(before: unknown, after: unknown): void {
    if (before !== undefined && after !== undefined && !equalJson(before, after)) this.modified.insert(this.#path)
  }

  #members(before: Json, after: Json, types: ModelSchema | FieldType): void {
    for (const key in before) {
      if (before[key] !== undefined) this.#member(key, before[key], getOwn(after, key), types)
    }
    for (const key in after) {
      if (after[key] !== undefined && getOwn(before, key) === undefined) this.#member(key, undefined, after[key], types)
    }
  }

  #member(key: string, before: unknown, after: unknown, types: ModelSchema | FieldType): void {
    if (before === after) return
    const isField = 'fields' in types
    this.#path.push(isField ? fieldElement(key) : `f:${key}`)
    this.value(before, after, isField ? fieldType(types, key) : types)
    this.#presence(before, after)
    this.#up()
  }

  #up(): void {
    this.#path.pop()
    const { length } = this.#path
    this.added.shorten(length)
    this.modified.shorten(length)
    this.removed.shorten(length)
  }

  #presence(before: unknown, after: unknown): void {
    if (before === undefined) this.added.insert(this.#path)
    else if (after === undefined) this.removed.insert(this.#path)
  }

  #list(before: readonly unknown[], after: readonly unknown[], list: ListType): void {
    // Most are as they were, which is cheaper to see than what their items are called.
    if (equalJson(before, after)) return
    const old = this.#index(before, list)
    const now = this.#index(after, list)
    if (!old || !now) {
      this.modified.insert(this.#path)
      return
    }
    for (const [element, items] of old) this.#item(element, items, now.get(element), list)
    for (const [element, items] of now) if (!old.has(element)) this.#item(element, undefined, items, list)
  }

  #item(element: string, before: unknown[] | undefined, after: unknown[] | undefined, list: ListType): void {
    this.#path.push(element)
    const was = before?.length ?? 0
    const is = after?.length ?? 0
    if (was > 1 && is > 1) {
      // Items of one key are compared together, as a leaf.
      if (!equalJson(before, after)) this.modified.insert(this.#path)
    } else if (was > 1) {
      if (is === 1) this.#single(undefined, after?.[0], list)
      this.removed.insert(this.#path)
    } else if (is > 1) {
      if (was === 1) this.#single(before?.[0], undefined, list)
      this.added.insert(this.#path)
    } else this.#single(before?.[0], after?.[0], list)
    this.#up()
  }

  #single(before: unknown, after: unknown, list: ListType): void {
    this.value(before, after, list.items)
    this.#presence(before, after)
  }

  /** Undefined when some item has no name. */
  #index(items: readonly unknown[], list: ListType): ReadonlyMap<string, unknown[]> | undefined {
    if (items.length === 0) return NO_ITEMS
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

/** Of fields, not of keys that anybody makes up: there are few names, and a text that was looked up before is looked up faster. */
export function fieldElement(name: string): string {
  let element = elements.get(name)
  if (element === undefined) {
    element = `f:${name}`
    if (elements.size < ELEMENTS_MAX) elements.set(name, element)
  }
  return element
}

const elements = new Map<string, string>()
/** All built-in kinds have three thousand. */
const ELEMENTS_MAX = 4096

const NO_ITEMS: ReadonlyMap<string, unknown[]> = new Map()

/** With what Go writes as null. */
export function withNulls(object: unknown, { nulls }: ModelSchema): unknown {
  if (nulls.length === 0 || !isObject(object) || nulls.every((name) => object[name] !== undefined)) return object
  const missing = nulls.filter((name) => object[name] === undefined)
  return missing.length === 0 ? object : { ...object, ...Object.fromEntries(missing.map((name) => [name, null])) }
}

export const isMapLike = (value: unknown): value is Json | undefined | null => value === undefined || value === null || isObject(value)
export const isListLike = (value: unknown): value is unknown[] | undefined | null => value === undefined || value === null || Array.isArray(value)
export const isBare = (value: unknown): boolean => value === undefined || value === null || (typeof value === 'object' && isEmpty(value))

function isEmpty(value: object): boolean {
  for (const _ in value) return false
  return true
}

/** Equality of JSON values; a member that is undefined counts as absent. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (Array.isArray(a) || Array.isArray(b)) return Array.isArray(a) && Array.isArray(b) && equalItems(a, b)
  if (!isObject(a) || !isObject(b)) return false
  for (const key in a) if (!equalJson(a[key], getOwn(b, key))) return false
  for (const key in b) if (b[key] !== undefined && getOwn(a, key) === undefined) return false
  return true
}

function equalItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (!equalJson(a[i], b[i])) return false
  return true
}
