/**
 * Values while an expression is evaluated. int is a bigint, double a number, string, bool and null are themselves, bytes a
 * Uint8Array; everything else is a small class. JSON is never converted as a whole: lists and maps wrap it (`json-value.ts`).
 */
import type { CelType } from './type.ts'
import { BOOL, BYTES, DOUBLE, DURATION, DYN, INT, list, map, NULL, opaque, optional, STRING, TIMESTAMP, TYPE, UINT } from './type.ts'
import { work } from './work.ts'

export type CelValue = null | boolean | bigint | number | string | Uint8Array | Uint | Timestamp | Duration | CelList | CelMap | Optional | TypeValue | OpaqueValue

/** What evaluation throws for an error of the expression itself; `&&`, `||` and their like may absorb it. No stack: errors are part of normal work. */
export class EvalError {
  readonly message: string
  constructor(message: string) { this.message = message }
}

export const noSuchOverload = (): EvalError => new EvalError('no such overload')

export class Uint {
  readonly value: bigint
  constructor(value: bigint) { this.value = value }
}

/** Nanoseconds since 1970; the offset it was written with only matters to its text. */
export class Timestamp {
  readonly nanos: bigint
  readonly offsetMinutes: number
  constructor(nanos: bigint, offsetMinutes = 0) {
    this.nanos = nanos
    this.offsetMinutes = offsetMinutes
  }
}

export class Duration {
  readonly nanos: bigint
  constructor(nanos: bigint) { this.nanos = nanos }
}

export abstract class CelList {
  abstract readonly size: number
  /** `index` is within bounds. */
  abstract at(index: number): CelValue
  *[Symbol.iterator](): Iterator<CelValue> { for (let i = 0; i < this.size; i++) yield this.at(i) }
  /** Equality of its own (sets, lists with keys); undefined: element by element. */
  equalTo(_other: CelList): boolean | undefined { return undefined }
  /** Concatenation of its own; undefined: one after the other. */
  plus(_other: CelList): CelList | undefined { return undefined }
}

export class ArrayList extends CelList {
  readonly items: readonly CelValue[]
  constructor(items: readonly CelValue[]) { super(); this.items = items }
  get size(): number { return this.items.length }
  at(index: number): CelValue { return this.items[index] as CelValue }
}

export abstract class CelMap {
  abstract readonly size: number
  /** Undefined: no such key. Throws for what can be no key. */
  abstract find(key: CelValue): CelValue | undefined
  abstract keys(): Iterable<CelValue>
  /** What `in` asks. */
  has(key: CelValue): boolean { return this.find(key) !== undefined }
  /** `find` for what is written `map.field`. */
  field(name: string): CelValue | undefined { return this.find(name) }
  hasField(name: string): boolean { return this.field(name) !== undefined }
  /** Equality of its own; undefined: entry by entry. */
  equalTo(_other: CelMap): boolean | undefined { return undefined }
}

/** Keys compare across int, uint and whole doubles. */
export function mapKey(key: CelValue): string | bigint | boolean {
  if (typeof key === 'string' || typeof key === 'bigint' || typeof key === 'boolean') return key
  if (key instanceof Uint) return key.value
  throw new EvalError(`unsupported key type: ${typeName(key)}`)
}

export class EntryMap extends CelMap {
  readonly #entries: ReadonlyMap<string | bigint | boolean, readonly [CelValue, CelValue]>
  constructor(entries: ReadonlyMap<string | bigint | boolean, readonly [CelValue, CelValue]>) { super(); this.#entries = entries }
  static of(pairs: Iterable<readonly [CelValue, CelValue]>): EntryMap {
    const entries = new Map<string | bigint | boolean, readonly [CelValue, CelValue]>()
    for (const pair of pairs) entries.set(mapKey(pair[0]), pair)
    return new EntryMap(entries)
  }
  get size(): number { return this.#entries.size }
  find(key: CelValue): CelValue | undefined {
    if (typeof key === 'number') return Number.isInteger(key) ? this.#entries.get(BigInt(key))?.[1] : undefined
    return this.#entries.get(mapKey(key))?.[1]
  }
  *keys(): Iterable<CelValue> { for (const [key] of this.#entries.values()) yield key }
  entries(): ReadonlyMap<string | bigint | boolean, readonly [CelValue, CelValue]> { return this.#entries }
}

/** `undefined` inside: none. */
export class Optional {
  readonly value: CelValue | undefined
  constructor(value: CelValue | undefined) { this.value = value }
  static readonly none = new Optional(undefined)
}

export class TypeValue {
  readonly name: string
  constructor(name: string) { this.name = name }
}

/** Base of the values that libraries bring (URLs, IPs, quantities, the authorizer). */
export abstract class OpaqueValue {
  abstract readonly typeName: string
  abstract equals(other: OpaqueValue): boolean
  /** What `size()`-based costs count; 1 where nothing else is known. */
  get sizeForCost(): number { return 1 }
}

/** An object made by an expression: `Object.spec{replicas: 3}`. */
export class StructValue extends CelMap {
  readonly typeName: string
  readonly fields: ReadonlyMap<string, CelValue>
  constructor(typeName: string, fields: ReadonlyMap<string, CelValue>) { super(); this.typeName = typeName; this.fields = fields }
  get size(): number { return this.fields.size }
  find(key: CelValue): CelValue | undefined { return typeof key === 'string' ? this.fields.get(key) : undefined }
  keys(): Iterable<CelValue> { return this.fields.keys() }
}

export function typeName(v: CelValue): string {
  switch (typeof v) {
    case 'boolean': return 'bool'
    case 'bigint': return 'int'
    case 'number': return 'double'
    case 'string': return 'string'
    default:
  }
  if (v === null) return 'null_type'
  if (v instanceof StructValue) return v.typeName
  if (v instanceof CelList) return 'list'
  if (v instanceof CelMap) return 'map'
  if (v instanceof Uint) return 'uint'
  if (v instanceof Uint8Array) return 'bytes'
  if (v instanceof Timestamp) return 'google.protobuf.Timestamp'
  if (v instanceof Duration) return 'google.protobuf.Duration'
  if (v instanceof Optional) return 'optional_type'
  if (v instanceof TypeValue) return 'type'
  if (v instanceof OpaqueValue) return v.typeName
  return 'dyn'
}

/** The type of a value without its parameters: what a runtime check of arguments may go by. */
export function typeOfValue(v: CelValue): CelType {
  const name = typeName(v)
  const known: Record<string, CelType> = {
    bool: BOOL, int: INT, uint: UINT, double: DOUBLE, string: STRING, bytes: BYTES, null_type: NULL, list: list(DYN), map: map(DYN, DYN), type: TYPE,
    'google.protobuf.Timestamp': TIMESTAMP, 'google.protobuf.Duration': DURATION, optional_type: optional(DYN),
  }
  return known[name] ?? opaque(name)
}

/** NaN where one of them is. An integer and a double compare as doubles, as in cel-go. */
function compareNumbers(a: number | bigint, b: number | bigint): number {
  if (typeof a !== typeof b) return compareNumbers(Number(a), Number(b))
  return a < b ? -1 : a > b ? 1 : a >= b ? 0 : NaN
}
const asNumber = (v: CelValue): number | bigint | undefined => (typeof v === 'bigint' || typeof v === 'number' ? v : v instanceof Uint ? v.value : undefined)

/** CEL's `==`: numbers across their types, deep, never an error for different types (they are unequal). */
export function equal(a: CelValue, b: CelValue): boolean {
  if (a === b) return true
  switch (typeof a) {
    case 'string': case 'boolean': return false
    case 'bigint': case 'number': {
      const other = asNumber(b)
      return other !== undefined && compareNumbers(a, other) === 0
    }
    default:
  }
  if (a === null || b === null) return false
  if (a instanceof Uint) {
    const other = asNumber(b)
    return other !== undefined && compareNumbers(a.value, other) === 0
  }
  if (a instanceof CelList) return b instanceof CelList && equalLists(a, b)
  if (a instanceof CelMap) return b instanceof CelMap && equalMaps(a, b)
  if (a instanceof Timestamp) return b instanceof Timestamp && a.nanos === b.nanos
  if (a instanceof Duration) return b instanceof Duration && a.nanos === b.nanos
  if (a instanceof Uint8Array) return b instanceof Uint8Array && compareBytes(a, b) === 0
  if (a instanceof TypeValue) return b instanceof TypeValue && a.name === b.name
  if (a instanceof Optional) {
    if (!(b instanceof Optional)) return false
    return a.value === undefined || b.value === undefined ? a.value === b.value : equal(a.value, b.value)
  }
  return a instanceof OpaqueValue && b instanceof OpaqueValue && a.typeName === b.typeName && a.equals(b)
}

function equalLists(a: CelList, b: CelList): boolean {
  if (a.size !== b.size) return false
  work.step(a.size)
  const own = a.equalTo(b)
  if (own !== undefined) return own
  for (let i = 0; i < a.size; i++) if (!equal(a.at(i), b.at(i))) return false
  return true
}

function equalMaps(a: CelMap, b: CelMap): boolean {
  if (a.size !== b.size || a instanceof StructValue !== b instanceof StructValue) return false
  work.step(a.size)
  if (a instanceof StructValue && a.typeName !== (b as StructValue).typeName) return false
  const own = a.equalTo(b)
  if (own !== undefined) return own
  for (const key of a.keys()) {
    const mine = a.find(key)
    const theirs = b.find(key)
    if (mine === undefined || theirs === undefined || !equal(mine, theirs)) return false
  }
  return true
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    const d = (a[i] as number) - (b[i] as number)
    if (d !== 0) return d < 0 ? -1 : 1
  }
  return a.length - b.length < 0 ? -1 : a.length === b.length ? 0 : 1
}

/** By code point, as bytes of UTF-8 sort; JavaScript's own order differs above U+FFFF. */
export function compareStrings(a: string, b: string): number {
  if (a === b) return 0
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    const surrogateX = x >= 0xd800 && x <= 0xdfff
    const surrogateY = y >= 0xd800 && y <= 0xdfff
    if (surrogateX !== surrogateY) return surrogateX ? 1 : -1
    return x < y ? -1 : 1
  }
  return a.length < b.length ? -1 : 1
}

/** -1, 0, 1; NaN when not comparable (NaN itself). Throws for types without an order or of different kinds. */
export function compare(a: CelValue, b: CelValue): number {
  const x = asNumber(a)
  const y = asNumber(b)
  if (x !== undefined && y !== undefined) return compareNumbers(x, y)
  if (typeof a === 'string' && typeof b === 'string') return compareStrings(a, b)
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b)
  if ((a instanceof Timestamp && b instanceof Timestamp) || (a instanceof Duration && b instanceof Duration)) return compareNumbers(a.nanos, b.nanos)
  if (a instanceof Uint8Array && b instanceof Uint8Array) return compareBytes(a, b)
  const ordered = a as { compareTo?: (other: CelValue) => number }
  if (a instanceof OpaqueValue && b instanceof OpaqueValue && a.typeName === b.typeName && ordered.compareTo) return ordered.compareTo(b)
  throw noSuchOverload()
}

const SURROGATE = /[\ud800-\udbff]/

/** Length in code points: what `size()` of a string is. */
export function codePoints(text: string): number {
  // Nearly free for text that V8 keeps one byte a character.
  if (!SURROGATE.test(text)) return text.length
  let n = text.length
  for (let i = 0; i < text.length - 1; i++) {
    const c = text.charCodeAt(i)
    if (c >= 0xd800 && c <= 0xdbff) {
      const next = text.charCodeAt(i + 1)
      if (next >= 0xdc00 && next <= 0xdfff) { n--; i++ }
    }
  }
  return n
}

/** The text's characters: code points, which is what CEL counts and cuts by. */
export const characters = (text: string): string[] => Array.from(text)
