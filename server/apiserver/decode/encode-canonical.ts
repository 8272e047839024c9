/**
 * The stored form: `{"metadata":{...},...}` without kind, apiVersion and metadata.resourceVersion (they are spliced in
 * on the way out), keys in alphabetical order at every level but `metadata` first, so that equal objects have equal
 * bytes. Undefined and null members, empty optional maps and lists and zeros that say nothing are left out, and zeros that Go always writes are
 * written (see zero-value.ts).
 *
 * The object is put in order, of which most parts are already as they are to be, and goes through JSON.stringify as a whole.
 */
import type { FieldSchema, FieldType, ModelSchema, SchemaSet } from '#api/schema/schema.ts'
import type { KubeObject } from '#api/types/index.ts'
import { isSorted } from './is-sorted.ts'
import { printCanonical } from './print-canonical.ts'
import { isZeroScalar, zeroOf } from './zero-value.ts'

export interface EncodeOptions {
  schema: SchemaSet
  /** Unknown models (custom resources) are encoded by shape alone. */
  model: string
}

type Json = Record<string, unknown>

/** The object is not changed. */
export function encodeCanonical(object: KubeObject, options: EncodeOptions): Buffer {
  return Buffer.from(canonicalText(object, options))
}

export function canonicalText(object: KubeObject, { schema, model: name }: EncodeOptions): string {
  const model = schema.model(name)
  const { metadata = {}, kind: _kind, apiVersion: _version, ...rest } = object as Json
  const { resourceVersion: _revision, ...meta } = metadata as Json
  const order = new Order(schema)
  const ordered: Json = { metadata: undefined, ...order.struct(rest, model) }
  ordered['metadata'] = order.struct(meta, schema.model('ObjectMeta'))
  return order.isPossible ? JSON.stringify(ordered) : printCanonical(object, model, schema)
}

/** Each method returns what it is given where that is in order, else a copy that shares what is. */
class Order {
  readonly #schema: SchemaSet
  /** False: some key keeps a place of its own in every object. */
  isPossible = true

  constructor(schema: SchemaSet) {
    this.#schema = schema
  }

  struct(object: Json, model: ModelSchema | undefined): Json {
    return (model && !isWhole(object, model) ? this.#byModel(object, model) : undefined) ?? this.#byKeys(object, model)
  }

  /** Of what clients send most is out of order: the model knows the order, and a sort of each struct of each write costs more. Undefined: it does not know some member. */
  #byModel(object: Json, model: ModelSchema): Json | undefined {
    const ordered: Json = {}
    let known = 0
    for (const key of model.names) {
      const value = object[key]
      if (value !== undefined) known++
      const shown = this.#member(value, model.fields[key])
      if (shown !== undefined) ordered[key] = shown
    }
    for (const key in object) if (object[key] !== undefined) known--
    return known === 0 ? ordered : undefined
  }

  #byKeys(object: Json, model: ModelSchema | undefined): Json {
    const given = Object.keys(object)
    const keys = withWritten(given, object, model)
    let ordered: Json | undefined = keys === given ? undefined : {}
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as string
      const value = object[key]
      const shown = this.#member(value, model?.fields[key])
      if (ordered === undefined && shown !== value) ordered = this.#copy(object, keys, i)
      if (ordered !== undefined && shown !== undefined) this.#set(ordered, key, shown)
    }
    return ordered ?? object
  }

  /** Undefined: left out. */
  #member(given: unknown, field: FieldSchema | undefined): unknown {
    const value = given ?? (field?.zero === 'written' ? zeroOf(field.type, this.#schema) : undefined)
    if (value === undefined || value === null || (field?.zero === 'omitted' && isZeroScalar(value))) return undefined
    if (field && !field.required && field.zero !== 'null') {
      if (field.type.kind === 'list' && (value as unknown[]).length === 0) return undefined
      if (field.type.kind === 'map' && isEmpty(value)) return undefined
    }
    return this.#value(value, field?.type)
  }

  #value(value: unknown, type: FieldType | undefined): unknown {
    if (typeof value !== 'object' || value === null || type?.kind === 'any') return value
    if (Array.isArray(value)) return this.#list(value, type?.kind === 'list' ? type.items : undefined)
    if (type?.kind === 'map') return this.#map(value as Json, type.values)
    return this.struct(value as Json, type?.kind === 'ref' ? this.#schema.model(type.model) : undefined)
  }

  #list(list: readonly unknown[], items: FieldType | undefined): readonly unknown[] {
    let ordered: unknown[] | undefined
    for (let i = 0; i < list.length; i++) {
      const shown = this.#value(list[i], items)
      if (shown !== list[i]) ordered ??= list.slice()
      if (ordered) ordered[i] = shown
    }
    return ordered ?? list
  }

  #map(object: Json, values: FieldType): Json {
    const given = Object.keys(object)
    const keys = isSorted(given) ? given : given.toSorted()
    let ordered: Json | undefined = keys === given ? undefined : {}
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as string
      const value = object[key]
      const shown = this.#value(value, values)
      if (ordered === undefined && shown !== value) ordered = this.#copy(object, keys, i)
      if (ordered !== undefined) this.#set(ordered, key, shown)
    }
    return ordered ?? object
  }

  /** The first `count` members. */
  #copy(object: Json, keys: readonly string[], count: number): Json {
    const copy: Json = {}
    for (let i = 0; i < count; i++) this.#set(copy, keys[i] as string, object[keys[i] as string])
    return copy
  }

  #set(object: Json, key: string, value: unknown): void {
    // Indexes come before all other keys, by their value; this one sets the prototype.
    if (INDEX.test(key) || key === '__proto__') this.isPossible = false
    object[key] = value
  }
}

const INDEX = /^\d+$/

/** Its keys are in order, and all that are written are among them. */
function isWhole(object: Json, model: ModelSchema): boolean {
  let last = ''
  for (const key in object) {
    if (key < last) return false
    last = key
  }
  for (const name of model.written) if (object[name] === undefined) return false
  return true
}

/** In order, with those that are written though nobody has set them; `given` itself where that is so. */
function withWritten(given: string[], object: Json, model: ModelSchema | undefined): string[] {
  let keys = given
  for (const name of model?.written ?? []) if (object[name] === undefined && !Object.hasOwn(object, name)) keys = [...keys, name]
  return isSorted(keys) ? keys : keys.toSorted()
}

function isEmpty(map: object): boolean {
  for (const key in map) if (Object.hasOwn(map, key)) return false
  return true
}
