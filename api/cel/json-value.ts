/** JSON seen as CEL values, one step at a time: nothing is converted before an expression asks for it. */
import type { CelField, CelListType, CelMapType, CelObjectType, CelType } from './type.ts'
import { DYN } from './type.ts'
import { formatDuration, formatTimestamp, offsetMinutes, parseDateTime, parseFullDate, parseOpenApiDuration, TIMESTAMP_MAX, TIMESTAMP_MIN } from './time-text.ts'
import type { CelValue } from './value.ts'
import { ArrayList, CelList, CelMap, Duration, equal, EvalError, mapKey, Optional, Timestamp, Uint } from './value.ts'
import { work } from './work.ts'

export type Json = null | boolean | number | string | bigint | readonly Json[] | { readonly [key: string]: Json | undefined }

/** `json` as a value of `type`; EvalError where it is of another kind (validation should have refused it before). */
export function fromJson(json: unknown, type: CelType): CelValue {
  if (json === null || json === undefined) return null
  if (isReady(json)) return json
  switch (type.kind) {
    case 'string':
      if (typeof json === 'string') return json
      break
    case 'int':
      if (typeof json === 'number' && isInt64(json)) return BigInt(json)
      if (typeof json === 'bigint') return json
      break
    case 'bool':
      if (typeof json === 'boolean') return json
      break
    case 'double':
      if (typeof json === 'number') return json
      if (typeof json === 'bigint') return Number(json)
      break
    case 'object':
      if (isRecord(json)) return new JsonObject(json, type)
      break
    case 'list':
      if (Array.isArray(json)) return fromArray(json, type)
      break
    case 'map':
      if (isRecord(json)) return new JsonMap(json, type)
      break
    case 'timestamp':
      if (typeof json === 'string') return timestampFrom(json)
      break
    case 'duration':
      if (typeof json === 'string') return durationFrom(json)
      break
    case 'bytes':
      if (typeof json === 'string') return Buffer.from(json, 'base64')
      break
    case 'uint':
      if (typeof json === 'number' && Number.isInteger(json) && json >= 0) return new Uint(BigInt(json))
      break
    case 'dynamic-union':
      if (typeof json === 'string' || typeof json === 'bigint') return json
      if (typeof json === 'number' && isInt64(json)) return BigInt(json)
      throw new EvalError('invalid data, expected XIntOrString value to be either a string or integer')
    default: return fromAnyJson(json)
  }
  throw new EvalError(`invalid data, expected ${type.kind === 'bool' ? 'bool' : type.kind}, got ${Array.isArray(json) ? 'array' : typeof json}`)
}

/** Whole numbers that int cannot hold are doubles. */
const isInt64 = (json: number): boolean => Number.isInteger(json) && Math.abs(json) < 2 ** 63

const isRecord = (json: unknown): json is Readonly<Record<string, unknown>> => typeof json === 'object' && json !== null && !Array.isArray(json)

const DYN_LIST: CelListType = { kind: 'list', element: DYN }
const DYN_MAP: CelMapType = { kind: 'map', key: DYN, value: DYN }

function fromAnyJson(json: unknown): CelValue {
  switch (typeof json) {
    case 'string': case 'boolean': case 'bigint': return json
    case 'number': return isInt64(json) ? BigInt(json) : json
    default:
  }
  if (Array.isArray(json)) return new JsonList(json, DYN_LIST)
  return new JsonMap(json as Readonly<Record<string, unknown>>, DYN_MAP)
}

/** Values of their own class (the authorizer, `variables`) pass as they are. */
function isReady(json: unknown): json is CelValue {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return false
  const prototype: unknown = Object.getPrototypeOf(json)
  return prototype !== Object.prototype && prototype !== null
}

function fromArray(json: readonly unknown[], type: CelListType): CelList {
  const items = new JsonList(json, type)
  return type.listType === 'set' || type.listType === 'map' ? new AssociativeList(items, type) : items
}

function timestampFrom(text: string): Timestamp {
  const nanos = parseDateTime(text) ?? parseFullDate(text)
  if (nanos === undefined || nanos < TIMESTAMP_MIN || nanos > TIMESTAMP_MAX) throw new EvalError(`Invalid date-time formatted string ${text}`)
  return new Timestamp(nanos, offsetMinutes(text))
}

function durationFrom(text: string): Duration {
  const nanos = parseOpenApiDuration(text)
  if (nanos === undefined) throw new EvalError(`Invalid duration ${text}`)
  return new Duration(nanos)
}

export class JsonList extends CelList {
  readonly json: readonly unknown[]
  readonly #element: CelType
  constructor(json: readonly unknown[], type: CelListType) {
    super()
    this.json = json
    this.#element = type.element
  }
  get size(): number { return this.json.length }
  at(index: number): CelValue { return fromJson(this.json[index], this.#element) }
}

/** Lists of `x-kubernetes-list-type` set and map: order does not matter to equality, `+` merges. */
class AssociativeList extends CelList {
  readonly #items: CelList
  readonly #type: CelListType
  constructor(items: CelList, type: CelListType) {
    super()
    this.#items = items
    this.#type = type
  }
  get size(): number { return this.#items.size }
  at(index: number): CelValue { return this.#items.at(index) }

  #key(item: CelValue): string {
    if (this.#type.listType === 'set') return scalarKey(item)
    if (!(item instanceof CelMap)) throw new EvalError('unexpected data format for element of array with x-kubernetes-list-type=map')
    return (this.#type.mapKeys ?? []).map((name) => scalarKey(item instanceof JsonObject ? item.property(name) : item.find(name))).join('\n')
  }

  override equalTo(other: CelList): boolean {
    const mine = new Map<string, CelValue>()
    for (const item of this) mine.set(this.#key(item), item)
    for (const item of other) {
      const same = mine.get(this.#key(item))
      if (same === undefined || !equal(same, item)) return false
    }
    return true
  }

  override plus(other: CelList): CelList {
    const merged = new Map<string, CelValue>()
    for (const item of this) merged.set(this.#key(item), item)
    for (const item of other) {
      const key = this.#key(item)
      if (this.#type.listType === 'map' || !merged.has(key)) merged.set(key, item)
    }
    return new AssociativeList(new ArrayList([...merged.values()]), this.#type)
  }
}

const scalarKey = (v: CelValue | undefined): string => {
  if (v === undefined || v === null) return 'null'
  if (typeof v === 'bigint' || typeof v === 'number') return `n${v}`
  if (typeof v === 'string') return JSON.stringify(v)
  if (typeof v === 'boolean') return String(v)
  if (v instanceof Timestamp || v instanceof Duration) return `t${v.nanos}`
  return `j${JSON.stringify(toJson(v))}`
}

const own = (json: Readonly<Record<string, unknown>>, key: string): unknown => (Object.hasOwn(json, key) ? json[key] : undefined)

/** Objects that were not read from text may have properties that are undefined: they are not there. */
const present = (json: Readonly<Record<string, unknown>>): string[] => Object.keys(json).filter((key) => json[key] !== undefined)

/** Any JSON object whose keys are data. */
export class JsonMap extends CelMap {
  readonly json: Readonly<Record<string, unknown>>
  readonly #value: CelType
  constructor(json: Readonly<Record<string, unknown>>, type: CelMapType) {
    super()
    this.json = json
    this.#value = type.value
  }
  get size(): number { return present(this.json).length }
  find(key: CelValue): CelValue | undefined {
    if (typeof key === 'string') return this.field(key)
    mapKey(key)
    return undefined
  }
  override field(name: string): CelValue | undefined {
    const json = own(this.json, name)
    return json === undefined ? undefined : fromJson(json, this.#value)
  }
  override hasField(name: string): boolean { return own(this.json, name) !== undefined }
  keys(): Iterable<CelValue> { return present(this.json) }
}

/** A JSON object with declared properties; names are CEL's, escaped. A null property is an absent one. */
export class JsonObject extends CelMap {
  readonly json: Readonly<Record<string, unknown>>
  readonly type: CelObjectType
  constructor(json: Readonly<Record<string, unknown>>, type: CelObjectType) {
    super()
    this.json = json
    this.type = type
  }
  get size(): number { return present(this.json).length }
  find(key: CelValue): CelValue | undefined {
    if (typeof key !== 'string') throw new EvalError('no such overload')
    return this.field(key)
  }
  override field(name: string): CelValue | undefined {
    const field = this.type.field(name)
    return field && this.#read(field)
  }
  #read(field: CelField): CelValue | undefined {
    const json = own(this.json, field.jsonName)
    return json === undefined || json === null ? undefined : fromJson(json, field.type)
  }
  override hasField(name: string): boolean {
    const field = this.type.field(name)
    const json = field && own(this.json, field.jsonName)
    return json !== undefined && json !== null
  }
  /** By the property's own name. */
  property(jsonName: string): CelValue | undefined {
    for (const name of this.type.fieldNames()) {
      const field = this.type.field(name)
      if (field?.jsonName === jsonName) return this.#read(field)
    }
    const json = own(this.json, jsonName)
    return json === undefined ? undefined : fromAnyJson(json)
  }
  *keys(): Iterable<CelValue> {
    for (const name of this.type.fieldNames()) if (this.hasField(name)) yield name
  }
  override equalTo(other: CelMap): boolean {
    const declared = new Set<string>()
    for (const name of this.type.fieldNames()) {
      declared.add(this.type.field(name)?.jsonName ?? name)
      const mine = this.field(name)
      const theirs = other.field(name)
      if (mine === undefined || theirs === undefined ? mine !== theirs : !equal(mine, theirs)) return false
    }
    // What no property declares is kept as it is and compared as it is.
    for (const key of Object.keys(this.json)) {
      if (declared.has(key) || !(other instanceof JsonObject)) continue
      const theirs = own(other.json, key)
      if (theirs !== undefined && !equal(fromAnyJson(this.json[key]), fromAnyJson(theirs))) return false
    }
    return true
  }
}

/** The value as JSON, for messages, patches and constructed objects. Numbers beyond 2^53 stay bigints. */
export function toJson(v: CelValue): Json {
  switch (typeof v) {
    case 'bigint': return v >= BigInt(Number.MIN_SAFE_INTEGER) && v <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(v) : v
    case 'string': case 'boolean': case 'number': return v
    default:
  }
  work.step()
  if (v === null) return null
  if (v instanceof JsonObject || v instanceof JsonMap) return v.json as Json
  if (v instanceof CelList) return Array.from(v, toJson)
  if (v instanceof CelMap) {
    const out: Record<string, Json> = {}
    for (const key of v.keys()) {
      const value = v.find(key)
      if (typeof key !== 'string' || value === undefined) throw new EvalError('map keys must be strings in JSON')
      // defineProperty: `__proto__` is a key like any other.
      Object.defineProperty(out, key, { value: toJson(value), enumerable: true, configurable: true, writable: true })
    }
    return out
  }
  if (v instanceof Uint) return toJson(v.value)
  if (v instanceof Uint8Array) return Buffer.from(v).toString('base64')
  if (v instanceof Optional) return v.value === undefined ? null : toJson(v.value)
  if (v instanceof Timestamp) return formatTimestamp(v)
  if (v instanceof Duration) return formatDuration(v.nanos)
  throw new EvalError(`type conversion error from '${'typeName' in v ? String(v.typeName) : 'type'}' to JSON`)
}
