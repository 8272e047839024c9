/**
 * What an object's creator owns, in one walk and in its wire form: most writes of a busy cluster are creations, and of one
 * without owners nothing has to be taken away. The same as comparing it with its type's zero value and making a set of
 * what was added or changed (track-update.ts), which a test holds it to. Pure.
 */
import type { FieldType, ModelSchema, SchemaSet } from '#api/schema/schema.ts'
import { isSorted } from '../../decode/is-sorted.ts'
import { zeroOf } from '../../decode/zero-value.ts'
import { getOwn, isObject, type Json } from '../result.ts'
import { equalJson, fieldElement, isBare, isListLike, isMapLike, withNulls } from './compare.ts'
import { inOrder, NO_FIELDS, type FieldsV1 } from './field-set.ts'
import { UNOWNED_METADATA, UNOWNED_NAMES } from './managed-fields.ts'
import { elementOf, type ListType } from './path-element.ts'
import { fieldType, shapeOf } from './type-shape.ts'

export interface CreatedFields { schema: SchemaSet; model: string; /** The kind has /status, which is not for a creator to own. */ hasStatus: boolean }

/** Undefined: nothing is owned. The model is a struct with fields of their own. */
export function createdFields(object: Json, { schema, model: name, hasStatus }: CreatedFields): FieldsV1 | undefined {
  const model = schema.model(name)
  if (!model) return undefined
  const creator = new Creator(schema)
  const before = zeroOfModel(name, model, schema)
  const after = withNulls(object, model) as Json
  const fields: FieldsV1 = {}
  let count = 0
  for (const key of sortedKeys(after)) {
    if (after[key] === undefined || UNOWNED_NAMES.has(key) || (hasStatus && key === 'status')) continue
    const owned = key === 'metadata' ? creator.metadata(getOwn(before, key), after[key], fieldType(model, key)) : creator.member(getOwn(before, key), after[key], fieldType(model, key))
    if (!owned) continue
    fields[fieldElement(key)] = owned
    count++
  }
  return count === 0 ? undefined : fields
}

class Creator {
  readonly #schema: SchemaSet

  constructor(schema: SchemaSet) {
    this.#schema = schema
  }

  /** It is nobody's itself, and much of it is the system's. */
  metadata(before: unknown, after: unknown, type: FieldType | undefined): FieldsV1 | undefined {
    const fields = this.#fields(before, after, type, false, UNOWNED_METADATA)
    return fields === NO_FIELDS ? undefined : fields
  }

  /** Of what is there after, and perhaps was before. Undefined: nothing of it is owned. */
  member(before: unknown, after: unknown, type: FieldType | undefined): FieldsV1 | undefined {
    return before === after ? undefined : this.#fields(before, after, type, before === undefined)
  }

  /** `own`: the place itself is among them. */
  #fields(given: unknown, wanted: unknown, type: FieldType | undefined, own: boolean, except?: ReadonlySet<string>): FieldsV1 | undefined {
    const shape = shapeOf(type, this.#schema)
    if (shape.kind === 'leaf') return place(own || isChanged(given, wanted))
    const before = shape.kind === 'struct' ? withNulls(given, shape.model) : given
    const after = shape.kind === 'struct' ? withNulls(wanted, shape.model) : wanted
    if (isBare(before) && isBare(after)) return place(own || isChanged(before, after))
    if (shape.kind === 'list') return isListLike(before) && isListLike(after) ? this.#list(after ?? [], shape.list, own) : place(own || isChanged(before, after))
    const types = shape.kind === 'struct' ? shape.model : shape.values
    if (isMapLike(before) && isMapLike(after)) return this.#members(before ?? {}, after ?? {}, types, own, except)
    const isOwn = own || isChanged(before, after)
    // Of no declared type, and no object before: its members have come.
    return shape.kind === 'map' && isObject(after) ? this.#members({}, after, types, isOwn, except) : place(isOwn)
  }

  #members(before: Json, after: Json, types: ModelSchema | FieldType, own: boolean, except?: ReadonlySet<string>): FieldsV1 | undefined {
    const isField = 'fields' in types
    const fields: FieldsV1 = own ? { '.': NO_FIELDS } : {}
    let count = 0
    for (const key of sortedKeys(after)) {
      const value = after[key]
      if (value === undefined || except?.has(key)) continue
      const member = this.member(getOwn(before, key), value, isField ? fieldType(types, key) : types)
      if (!member) continue
      fields[isField ? fieldElement(key) : `f:${key}`] = member
      count++
    }
    return count === 0 ? place(own) : fields
  }

  /** No zero value has items. */
  #list(after: readonly unknown[], list: ListType, own: boolean): FieldsV1 {
    const fields: FieldsV1 = own ? { '.': NO_FIELDS } : {}
    const elements: string[] = []
    for (const item of after) {
      const element = elementOf(item, list, this.#schema)
      // One without a name: the list is owned as a whole.
      if (element === undefined) return NO_FIELDS
      // Items of one name are, too, each as a whole.
      const isAgain = Object.hasOwn(fields, element)
      fields[element] = isAgain ? NO_FIELDS : (this.member(undefined, item, list.items) ?? NO_FIELDS)
      if (!isAgain) elements.push(element)
    }
    const ordered = inOrder([...elements])
    if (ordered.every((element, i) => element === elements[i])) return fields
    const sorted: FieldsV1 = own ? { '.': NO_FIELDS } : {}
    for (const element of ordered) sorted[element] = fields[element] as FieldsV1
    return sorted
  }
}

/** What says that a place itself is owned, and nothing below it. Undefined: not even that. */
const place = (own: boolean): FieldsV1 | undefined => (own ? NO_FIELDS : undefined)

const isChanged = (before: unknown, after: unknown): boolean => before !== undefined && after !== undefined && !equalJson(before, after)

function sortedKeys(object: Json): string[] {
  const keys = Object.keys(object)
  return isSorted(keys) ? keys : keys.sort()
}

/** Shared, and not changed. */
function zeroOfModel(name: string, model: ModelSchema, schema: SchemaSet): Json {
  let zero = zeros.get(model)
  if (!zero) zeros.set(model, (zero = withNulls(zeroOf({ kind: 'ref', model: name }, schema), model) as Json))
  return zero
}

const zeros = new WeakMap<ModelSchema, Json>()
