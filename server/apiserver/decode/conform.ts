/**
 * Makes a parsed JSON value what Go's typed decoding and encoding would make of it, in place: nulls, empty maps and lists and zeros that say nothing
 * are dropped, zeros that Go always writes are filled in (see zero-value.ts), unknown fields are pruned and reported, quantities and times get their
 * canonical text, wrong types fail with upstream's words.
 */
import type { DecodeProblem, FieldSchema, FieldType, ModelSchema, ScalarType, SchemaSet } from '#api/schema/schema.ts'
import { formatQuantity, tryParseQuantity } from '#api/types/quantity.ts'
import { parseTimeText } from './time-text.ts'
import { fillWritten, isZeroScalar, zeroOf } from './zero-value.ts'

export interface ConformOptions {
  schema: SchemaSet
  model: string
  /** Empty maps and lists of optional fields, and zeros: Go drops them, and writes others; an applied configuration stays as it is. Default drop. */
  empties?: 'drop' | 'keep'
  /** Whose words a wrong type is told in: those of Go's JSON decoder (default), or of apimachinery's converter, which strategic merge patches go through. */
  words?: 'decoder' | 'converter' | undefined
}

export type Conformed =
  | { ok: true; /** Unknown fields, at most 100. */ problems: DecodeProblem[]; /** Object keys seen, in pruned parts too. */ keys: number }
  /** As Go words it: `json: cannot unmarshal ...`. */
  | { ok: false; message: string }

type Json = Record<string, unknown>

/** Definitions of what may be a schema or something simpler. */
const SCHEMA_OR = /\bJSONSchemaPropsOr(?:Array|Bool)$/

/** As many as upstream's strict decoder reports. */
const PROBLEMS_MAX = 100

/** `value` is changed in place. It must not be nested deeper than the caller's depth limit. */
export function conformObject(value: unknown, options: ConformOptions): Conformed {
  const model = options.schema.model(options.model)
  if (!model) throw new Error(`bug: no model ${options.model}`)
  const walk = new Walk(options.schema, options.empties !== 'keep', options.words === 'converter')
  try {
    if (!isObject(value)) throw new WrongType(`json: cannot unmarshal ${jsonKind(value)} into Go value of type ${goType({ kind: 'ref', model: options.model }, options.schema)}`)
    walk.struct(value, model)
  } catch (error) {
    if (error instanceof WrongType) return { ok: false, message: error.message }
    throw error
  }
  return { ok: true, problems: walk.problems, keys: walk.keys }
}

class WrongType extends Error {}

const CORE = 'io.k8s.api.core.v1.'
const NANO_PER_MILLI = 1_000_000n
const SHORT = /^[1-9]\d{0,2}(?:[numkMGTPE]|[KMGTPE]i)?$/
const SHORT_MILLI = /^[1-9]\d{0,2}(?:[mkMGTPE]|[KMGTPE]i)?$/

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

/** A field, an index, or the key of a map, which Go's messages leave out. */
type PathPart = string | number | { key: string }

class Walk {
  readonly problems: DecodeProblem[] = []
  keys = 0
  readonly #schema: SchemaSet
  readonly #dropEmpty: boolean
  readonly #converter: boolean
  /** Names and indexes from the root; joined only when something is to be told. */
  readonly #path: PathPart[] = []
  /** The innermost struct, for messages. */
  #owner = ''

  constructor(schema: SchemaSet, dropEmpty: boolean, converter: boolean) {
    this.#schema = schema
    this.#dropEmpty = dropEmpty
    this.#converter = converter
  }

  struct(object: Json, model: ModelSchema): void {
    const path = this.#path
    for (const key of Object.keys(object)) {
      this.keys++
      const value = object[key]
      const field = model.fields[key]
      if (field === undefined) {
        this.#unknown(key, value)
        delete object[key]
        continue
      }
      if (value === null) {
        delete object[key]
        continue
      }
      path.push(key)
      this.#owner = model.definition
      const next = this.#value(value, field.type)
      // An empty list of managedFields says that nobody is to own anything.
      if (this.#dropEmpty && (isDroppable(next, field) || isNoTime(next, field)) && !(key === 'managedFields' && path.length <= 2)) delete object[key]
      else if (next !== value) object[key] = next
      path.pop()
    }
    if (this.#dropEmpty && model.written.length > 0) fillWritten(object, model, this.#schema)
  }

  #value(value: unknown, type: FieldType): unknown {
    switch (type.kind) {
      case 'scalar': return this.#scalar(value, type.scalar)
      case 'ref': {
        const model = this.#schema.model(type.model)
        if (!model) throw new Error(`bug: no model ${type.model}`)
        if (!isObject(value)) this.#fail(value, type)
        else this.struct(value, model)
        return value
      }
      case 'list': return this.#list(value, type)
      case 'map': return this.#map(value, type)
      case 'any':
        if (type.definition !== undefined && SCHEMA_OR.test(type.definition)) this.#schemaOr(value)
        else this.keys += countKeys(value)
        return value
    }
  }

  /** A schema, or a list of them, or something else: Go's own decoders read these, and tell nothing of unknown fields. */
  #schemaOr(value: unknown): void {
    const model = this.#schema.model('JSONSchemaProps')
    for (const schema of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (!isObject(schema) || !model) {
        this.keys += countKeys(schema)
        continue
      }
      const walk = new Walk(this.#schema, this.#dropEmpty, this.#converter)
      walk.struct(schema, model)
      this.keys += walk.keys
    }
  }

  #list(value: unknown, type: FieldType & { kind: 'list' }): unknown {
    if (!Array.isArray(value)) return this.#fail(value, type)
    const owner = this.#owner
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i]
      if (item === null) {
        value[i] = zeroOf(type.items, this.#schema)
        continue
      }
      this.#path.push(i)
      this.#owner = owner
      const next = this.#value(item, type.items)
      if (next !== item) value[i] = next
      this.#path.pop()
    }
    return value
  }

  #map(value: unknown, type: FieldType & { kind: 'map' }): unknown {
    if (!isObject(value)) return this.#fail(value, type)
    const owner = this.#owner
    const plain = type.values.kind === 'scalar' && type.values.scalar === 'string'
    const resources = type.values.kind === 'scalar' && type.values.scalar === 'quantity' && owner.startsWith(CORE)
    for (const key of Object.keys(value)) {
      this.keys++
      const item = value[key]
      if (plain && typeof item === 'string') continue
      if (item === null) {
        setOwn(value, key, zeroOf(type.values, this.#schema))
        continue
      }
      this.#path.push({ key })
      this.#owner = owner
      const next = resources ? this.#quantity(item, true) : this.#value(item, type.values)
      if (next !== item) setOwn(value, key, next)
      this.#path.pop()
    }
    return value
  }

  #scalar(value: unknown, scalar: ScalarType): unknown {
    switch (scalar) {
      case 'string': return typeof value === 'string' ? value : this.#fail(value, { kind: 'scalar', scalar })
      case 'boolean': return typeof value === 'boolean' ? value : this.#fail(value, { kind: 'scalar', scalar })
      case 'int32': return isWhole(value, -2_147_483_648, 2_147_483_647) ? value : this.#fail(value, { kind: 'scalar', scalar })
      case 'int64': return isWhole(value, -(2 ** 63), 2 ** 63) ? value : this.#fail(value, { kind: 'scalar', scalar })
      case 'double': return typeof value === 'number' ? value : this.#fail(value, { kind: 'scalar', scalar })
      case 'int-or-string':
        if (typeof value === 'string' || isWhole(value, -2_147_483_648, 2_147_483_647)) return value
        throw new WrongType(this.#unmarshalWords(jsonKind(value, true), 'int32'))
      case 'quantity': return this.#quantity(value)
      case 'date-time': case 'micro-time': {
        if (typeof value !== 'string') throw new WrongType(this.#unmarshalWords(jsonKind(value), 'string'))
        const parsed = parseTimeText(value, scalar === 'micro-time')
        if (!parsed.ok) throw new WrongType(parsed.message)
        return parsed.text
      }
      case 'byte': return this.#bytes(value)
    }
  }

  /** `toMilli`: rounded up to thousandths, as a default of upstream's does with all resource lists. */
  #quantity(value: unknown, toMilli = false): string {
    // One to three digits and a suffix can be reduced no further.
    if (typeof value === 'string' && (toMilli ? SHORT_MILLI : SHORT).test(value)) return value
    const parsed = tryParseQuantity(value)
    if (!parsed.ok) throw new WrongType(parsed.message)
    const { quantity } = parsed
    const rest = toMilli ? quantity.nano % NANO_PER_MILLI : 0n
    if (rest === 0n) return formatQuantity(quantity)
    return formatQuantity({ nano: quantity.nano - rest + (rest < 0n ? -NANO_PER_MILLI : NANO_PER_MILLI), format: quantity.format })
  }

  #bytes(value: unknown): string {
    if (typeof value !== 'string') return this.#fail(value, { kind: 'scalar', scalar: 'byte' })
    // Go's decoder skips line breaks and nothing else.
    const text = value.includes('\n') || value.includes('\r') ? value.replaceAll(/[\r\n]/g, '') : value
    const bad = badBase64At(text)
    if (bad >= 0) throw new WrongType(`illegal base64 data at input byte ${bad}`)
    return text
  }

  #unknown(key: string, value: unknown): void {
    this.keys += countKeys(value)
    if (this.problems.length >= PROBLEMS_MAX) return
    const path = pathText([...this.#path, key])
    this.problems.push({ kind: 'unknown', path, message: `unknown field ${JSON.stringify(path)}` })
  }

  #fail(value: unknown, type: FieldType): never {
    if (this.#converter) throw new WrongType(converterWords(value, type))
    const number = type.kind === 'scalar' && (type.scalar === 'int32' || type.scalar === 'int64')
    throw new WrongType(this.#unmarshalWords(jsonKind(value, number), goType(type, this.#schema)))
  }

  #unmarshalWords(kind: string, type: string): string {
    if (this.#converter) return `json: cannot unmarshal ${kind} into Go value of type ${type}`
    const struct = this.#owner.slice(this.#owner.lastIndexOf('.') + 1)
    const field = this.#path.filter((part) => typeof part === 'string').join('.')
    return `json: cannot unmarshal ${kind} into Go struct field ${struct}.${field} of type ${type}`
  }
}

/** Assignment that treats `__proto__` as the plain key it is in JSON. */
export function setOwn(object: Json, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
  else object[key] = value
}

/** `spec.containers[0].image`. */
function pathText(path: readonly PathPart[]): string {
  let text = ''
  for (const part of path) {
    const name = typeof part === 'object' ? part.key : part
    text += typeof name === 'number' ? `[${name}]` : text === '' ? name : `.${name}`
  }
  return text
}

function isDroppable(value: unknown, field: FieldSchema): boolean {
  if (field.zero === 'omitted' && isZeroScalar(value)) return true
  if (field.required || field.zero === 'null') return false
  if (field.type.kind === 'list') return Array.isArray(value) && value.length === 0
  if (field.type.kind !== 'map') return false
  for (const key in value as Json) if (Object.hasOwn(value as Json, key)) return false
  return true
}

/** Go's zero time is printed as null. */
function isNoTime(value: unknown, { type }: FieldSchema): boolean {
  return type.kind === 'scalar' && (type.scalar === 'date-time' || type.scalar === 'micro-time') && typeof value === 'string' && /^0001-01-01T00:00:00(?:\.0+)?Z$/.test(value)
}

const isWhole = (value: unknown, min: number, max: number): boolean => typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max

/** How Go names the JSON it met; a number that fits no integer is shown. */
function jsonKind(value: unknown, showNumber = false): string {
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return showNumber ? `number ${value}` : 'number'
  return typeof value
}

/** It converts numbers, and what Go can make a string of; all else it does not know. */
function converterWords(value: unknown, type: FieldType): string {
  const kind = Array.isArray(value) ? 'slice' : typeof value === 'object' ? 'map' : typeof value === 'boolean' ? 'bool' : typeof value === 'string' ? 'string' : Number.isInteger(value) ? 'int64' : 'float64'
  if (type.kind === 'list' || (type.kind === 'scalar' && type.scalar === 'byte')) return `cannot restore slice from ${kind}`
  if (type.kind === 'map') return `cannot restore map from ${kind}`
  if (type.kind !== 'scalar') return `cannot restore struct from: ${kind}`
  const to = GO_SCALARS[type.scalar]
  const converts = to === 'string' ? kind === 'int64' : to !== 'bool' && typeof value === 'number'
  return converts ? `cannot convert ${kind} to ${to}` : `unrecognized type: ${to}`
}

const GO_SCALARS: Readonly<Record<ScalarType, string>> = {
  string: 'string', boolean: 'bool', int32: 'int32', int64: 'int64', double: 'float64', byte: '[]uint8',
  'date-time': 'v1.Time', 'micro-time': 'v1.MicroTime', quantity: 'resource.Quantity', 'int-or-string': 'intstr.IntOrString',
}

function goType(type: FieldType, schema: SchemaSet): string {
  switch (type.kind) {
    case 'scalar': return GO_SCALARS[type.scalar]
    case 'list': return `[]${goType(type.items, schema)}`
    case 'map': return type.values.kind === 'scalar' && type.values.scalar === 'quantity' ? 'v1.ResourceList' : `map[string]${goType(type.values, schema)}`
    case 'ref': return (schema.model(type.model)?.definition ?? type.model).split('.').slice(-2).join('.')
    case 'any': return (type.definition ?? 'interface {}').split('.').slice(-2).join('.')
  }
}

/** Keys in a value nobody else walks. Its depth is bounded by the decoder's limit. */
export function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let count = 0
  if (Array.isArray(value)) for (const item of value) count += countKeys(item)
  else for (const key in value) count += 1 + countKeys((value as Json)[key])
  return count
}

/** The first byte Go's base64.StdEncoding would refuse, or -1. */
function badBase64At(text: string): number {
  if (text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)) return -1
  const bad = /[^A-Za-z0-9+/]/.exec(text)
  if (!bad) return text.length - (text.length % 4)
  return bad[0] === '=' && text.length % 4 !== 0 && /^=+$/.test(text.slice(bad.index)) && bad.index % 4 >= 2 ? text.length : bad.index
}
