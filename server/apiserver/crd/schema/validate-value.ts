/**
 * Values against a schema, with kube-openapi's words and order of looking. What did not change since the old object may stay as it
 * is (KEP-4008, ratcheting). Pure.
 */
import { compileRegex } from '#api/cel/regex/regex.ts'
import { EvalError } from '#api/cel/value.ts'
import { asError } from '#base/errors.ts'
import type { FieldError } from '../../field-error.ts'
import { equalJson } from '../../storage/equal.ts'
import { canonicalJson } from '../canonical-json.ts'
import type { Correlation } from './correlation.ts'
import { fitsFormat, isKnownFormat } from './formats.ts'
import { isJsonObject, type Checks, type Json, type SchemaNode } from './node.ts'

export interface ValidateOptions {
  /** The path of the value, when it is not the whole object (`status`). */
  base?: string
  correlation?: Correlation | undefined
}

export function validateValue(value: unknown, node: SchemaNode, { base = '', correlation }: ValidateOptions = {}): FieldError[] {
  const walk = new Walk(base)
  return walk.check(node, value, '', correlation).errors
}

/** `matches` counts what held: among alternatives that fail, the one with most is told. */
interface Result { errors: FieldError[]; matches: number }

const NO_ERRORS: FieldError[] = []
Object.freeze(NO_ERRORS)

class Walk {
  readonly #base: string
  constructor(base: string) { this.#base = base }

  check(node: SchemaNode, value: unknown, path: string, correlation: Correlation | undefined): Result {
    const result = this.#plain(node, value, path, correlation)
    return result.errors.length > 0 && correlation?.isUnchanged ? { errors: NO_ERRORS, matches: result.matches } : result
  }

  #plain(node: SchemaNode, value: unknown, path: string, correlation: Correlation | undefined): Result {
    const into: Result = { errors: [], matches: 1 }
    const { checks } = node
    this.#type(into, node, value, path)
    if (value === null) {
      if (checks) this.#enum(into, checks, value, path)
      return into
    }
    if (checks) this.#alternatives(into, checks, value, path, correlation)
    if (typeof value === 'string') this.#string(into, node, value, path)
    else if (typeof value === 'number') this.#number(into, node, value, path)
    else if (Array.isArray(value)) this.#list(into, node, value as unknown[], path, correlation)
    if (checks) this.#enum(into, checks, value, path)
    if (isJsonObject(value)) this.#object(into, node, value, path, correlation)
    return into
  }

  #type(into: Result, node: SchemaNode, value: unknown, path: string): void {
    const types = node.intOrString ? ['integer', 'string'] : node.type === '' ? [] : [node.type]
    const format = formatOf(node)
    if (types.length === 0 && format === '') return
    if (value === null) {
      if (types.length > 0 && !node.nullable) this.#wrongType(into, path, types.join(','), 'null')
      else into.matches++
      return
    }
    const [type, own] = typeOf(value)
    const isWhole = type === 'integer' && types.includes('number')
    const isText = typeof value === 'string' || Array.isArray(value)
    if (!isText && format !== '' && !(types.includes(type) || own === format || isWhole)) return this.#wrongType(into, path, format, own)
    const isNumeric = types.includes('number') || types.includes('integer')
    // Upstream leaves formatted texts to their format.
    if (!isNumeric && format !== '' && isText) into.matches++
    else if (types.includes(type) || isWhole) into.matches++
    else this.#wrongType(into, path, types.join(','), type)
  }

  #wrongType(into: Result, path: string, type: string, is: string): void {
    into.errors.push({ type: 'FieldValueTypeInvalid', field: this.#field(path), message: `Invalid value: ${JSON.stringify(is)}: ${path} in body must be of type ${type}: ${JSON.stringify(is)}` })
  }

  #string(into: Result, node: SchemaNode, text: string, path: string): void {
    const { checks } = node
    into.matches += 2
    if (checks) {
      const { maxLength, minLength, pattern } = checks
      const length = maxLength !== undefined || minLength !== undefined ? runes(text) : 0
      if (maxLength !== undefined && length > maxLength) into.errors.push({ type: 'FieldValueTooLong', field: this.#field(path), message: `Too long: may not be more than ${maxLength} ${maxLength === 1 ? 'byte' : 'bytes'}` })
      else if (minLength !== undefined && length < minLength) this.#invalid(into, path, text, `should be at least ${minLength} chars long`)
      else if (pattern !== undefined) {
        const wrong = patternTest(checks, pattern)(text)
        if (wrong !== undefined) this.#invalid(into, path, text, wrong)
      }
    }
    const format = formatOf(node)
    if (format !== '' && isKnownFormat('string', format) && !fitsFormat(format, text)) {
      into.errors.push({ type: 'FieldValueTypeInvalid', field: this.#field(path), message: `Invalid value: ${JSON.stringify(text)}: ${path} in body must be of type ${format}: ${JSON.stringify(text)}` })
    }
  }

  #number(into: Result, node: SchemaNode, value: number, path: string): void {
    into.matches += 2
    const { checks } = node
    this.#fitsType(into, node, value, path, 'Checked')
    if (!checks) return
    const { multipleOf, maximum, exclusiveMaximum, minimum, exclusiveMinimum } = checks
    // Whole numbers are compared as such: with bounds that are cut to whole ones.
    const native = (bound: number, what: string): number => (this.#fitsType(into, node, bound, path, what) && isInt64(value) ? Math.trunc(bound) : bound)
    if (multipleOf !== undefined) {
      const factor = native(multipleOf, 'MultipleOf')
      if (factor <= 0) into.errors.push({ type: 'FieldValueInvalid', field: this.#field(path), message: `Invalid value: ${factor}: factor MultipleOf declared for ${path} must be positive: ${factor}` })
      else if (!isMultiple(value, factor)) this.#invalid(into, path, value, `should be a multiple of ${factor}`)
    }
    if (minimum !== undefined) {
      const bound = native(minimum, 'Minimum boundary')
      if (exclusiveMinimum ? value <= bound : value < bound) this.#invalid(into, path, value, `should be greater than ${exclusiveMinimum ? '' : 'or equal to '}${bound}`)
    }
    if (maximum !== undefined) {
      const bound = native(maximum, 'Maximum boundary')
      if (exclusiveMaximum ? value >= bound : value > bound) this.#invalid(into, path, value, `should be less than ${exclusiveMaximum ? '' : 'or equal to '}${bound}`)
    }
  }

  /** Of the value and of the bounds it is held against: whether the schema's type can have it at all. */
  #fitsType(into: Result, node: SchemaNode, value: number, path: string, what: string): boolean {
    const format = formatOf(node)
    const bound = node.type === 'integer' ? (format === 'int32' ? 2 ** 31 : 2 ** 63) : node.type === 'number' && format === 'float' ? 3.4028235677973366e38 : undefined
    if (bound === undefined || node.intOrString || (value < bound && value >= -bound && (node.type === 'number' || Number.isInteger(value)))) return true
    const type = format === '' ? `${node.type} (default format)` : `${node.type} with format ${format}`
    into.errors.push({ type: 'FieldValueInvalid', field: this.#field(''), message: `Invalid value: "": ${what} value must be of type ${type} in ${path}` })
    return false
  }

  #list(into: Result, node: SchemaNode, items: readonly unknown[], path: string, correlation: Correlation | undefined): void {
    into.matches += 2
    const { checks } = node
    if (node.items) for (let i = 0; i < items.length; i++) this.#merge(into, this.check(node.items, items[i], `${path}[${i}]`, correlation?.index(i)))
    if (!checks) return
    if (checks.minItems !== undefined && items.length < checks.minItems) this.#invalid(into, path, items.length, `should have at least ${checks.minItems} items`)
    if (checks.maxItems !== undefined && items.length > checks.maxItems) this.#tooMany(into, path, items.length, checks.maxItems)
    if (checks.uniqueItems && new Set(items.map(canonicalJson)).size < items.length) this.#invalid(into, path, '', "shouldn't contain duplicates")
  }

  #object(into: Result, node: SchemaNode, object: Json, path: string, correlation: Correlation | undefined): void {
    into.matches++
    const { checks, properties, additional } = node
    const keys = Object.keys(object)
    if (checks?.minProperties !== undefined && keys.length < checks.minProperties) this.#invalid(into, path, keys.length, `should have at least ${checks.minProperties} properties`)
    if (checks?.maxProperties !== undefined && keys.length > checks.maxProperties) this.#tooMany(into, path, keys.length, checks.maxProperties)
    for (const key of keys) {
      if (properties?.[key]) continue
      if (additional === false) this.#forbiddenProperty(into, path, key)
      else if (typeof additional === 'object') this.#merge(into, this.check(additional, object[key], `${path}.${key}`, this.#below(correlation, path, key)))
    }
    for (const key in properties) {
      const member = properties[key]
      if (member && Object.hasOwn(object, key)) this.#merge(into, this.check(member, object[key], path === '' ? key : `${path}.${key}`, this.#below(correlation, path, key)))
    }
    for (const key of checks?.required ?? []) {
      if (!Object.hasOwn(object, key)) into.errors.push({ type: 'FieldValueRequired', field: this.#field(`${path}.${key}`), message: 'Required value' })
    }
  }

  /** What kind and apiVersion were cannot be seen: both objects have been converted to the same. */
  #below(correlation: Correlation | undefined, path: string, key: string): Correlation | undefined {
    return path === '' && (key === 'kind' || key === 'apiVersion') ? undefined : correlation?.key(key)
  }

  #forbiddenProperty(into: Result, path: string, key: string): void {
    into.errors.push({ type: 'FieldValueInvalid', field: this.#field(path), message: `Invalid value: ${JSON.stringify(key)}: ${path}.${key} in body is a forbidden property` })
  }

  #enum(into: Result, checks: Checks, value: unknown, path: string): void {
    if (checks.enum.length === 0) return
    if (value !== null && checks.enum.some((allowed) => equalJson(allowed, cutLike(allowed, value)))) {
      into.matches++
      return
    }
    const supported = checks.enum.map((allowed) => JSON.stringify(typeof allowed === 'string' ? allowed : canonicalJson(allowed)))
    into.errors.push({ type: 'FieldValueNotSupported', field: this.#field(path), message: `Unsupported value: ${shown(value)}: supported values: ${supported.join(', ')}` })
  }

  #alternatives(into: Result, { anyOf, oneOf, allOf, not }: Checks, value: unknown, path: string, correlation: Correlation | undefined): void {
    const tried = (node: SchemaNode): Result => this.#plain(node, value, path, correlation)
    into.matches++
    if (anyOf.length > 0) this.#anyOf(into, anyOf, tried, path)
    if (oneOf.length > 0) this.#oneOf(into, oneOf.map(tried), path)
    if (allOf.length > 0) {
      const results = allOf.map(tried)
      const valid = results.filter((r) => r.errors.length === 0).length
      for (const result of results) this.#merge(into, result)
      if (valid < results.length) this.#composite(into, `${quoted(path)} must validate all the schemas (allOf)${valid === 0 ? '. None validated' : ''}`)
    }
    if (not && tried(not).errors.length === 0) this.#composite(into, `${quoted(path)} must not validate the schema (not)`)
  }

  #anyOf(into: Result, nodes: readonly SchemaNode[], tried: (node: SchemaNode) => Result, path: string): void {
    let best: Result | undefined
    for (const node of nodes) {
      const result = tried(node)
      if (result.errors.length === 0) return this.#merge(into, result)
      if (!best || result.matches > best.matches) best = result
    }
    this.#composite(into, `${quoted(path)} must validate at least one schema (anyOf)`)
    if (best) this.#merge(into, best)
  }

  #oneOf(into: Result, results: readonly Result[], path: string): void {
    const valid = results.filter((r) => r.errors.length === 0)
    if (valid.length === 1) return this.#merge(into, valid[0] as Result)
    this.#composite(into, `${quoted(path)} must validate one and only one schema (oneOf). ${valid.length === 0 ? 'Found none valid' : `Found ${valid.length} valid alternatives`}`)
    if (valid.length > 0) return
    const best = results.reduce((a, b) => (b.matches > a.matches ? b : a))
    this.#merge(into, best)
  }

  #composite(into: Result, message: string): void {
    into.errors.push({ type: 'FieldValueInvalid', field: this.#field(''), message: `Invalid value: "": ${message}` })
  }

  #invalid(into: Result, path: string, value: unknown, detail: string): void {
    into.errors.push({ type: 'FieldValueInvalid', field: this.#field(path), message: `Invalid value: ${shown(value)}: ${path} in body ${detail}` })
  }

  #tooMany(into: Result, path: string, actual: number, max: number): void {
    into.errors.push({ type: 'FieldValueTooMany', field: this.#field(path), message: `Too many: ${actual}: must have at most ${max} ${max === 1 ? 'item' : 'items'}` })
  }

  #merge(into: Result, from: Result): void {
    into.matches += from.matches
    if (from.errors.length > 0) into.errors.push(...from.errors)
  }

  #field(path: string): string {
    const name = path.startsWith('.') ? path.slice(1) : path
    if (name === '') return this.#base === '' ? '<nil>' : this.#base
    return this.#base === '' ? name : `${this.#base}.${name}`
  }
}

const quoted = (path: string): string => JSON.stringify(path)
const shown = (value: unknown): string => (typeof value === 'object' ? canonicalJson(value) : JSON.stringify(value))

/** Held against a whole number, a fraction is cut to one (upstream converts it). */
const cutLike = (allowed: unknown, value: unknown): unknown => (typeof value === 'number' && typeof allowed === 'number' && isInt64(allowed) ? Math.trunc(value) : value)

/** The JSON type and, of numbers, upstream's format. */
function typeOf(value: unknown): [string, string] {
  if (Array.isArray(value)) return ['array', '']
  switch (typeof value) {
    case 'string': return ['string', '']
    case 'boolean': return ['boolean', '']
    case 'number': return isInt64(value) ? ['integer', 'int64'] : ['number', 'float64']
    default: return ['object', '']
  }
}

/** A format that does not belong to the type is none. */
function formatOf({ type, checks, intOrString }: SchemaNode): string {
  const format = checks?.format ?? ''
  return format !== '' && isKnownFormat(intOrString ? '' : type, format) ? format : ''
}

function runes(text: string): number {
  let count = 0
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xfc00) !== 0xdc00) count++
  return count
}

/** Upstream has whole numbers as int64 as far as that reaches, and all others as floats. */
export const isInt64 = (value: number): boolean => Number.isInteger(value) && value < 2 ** 63 && value >= -(2 ** 63)

/** How far a quotient may be from a whole number, relatively. */
const EPSILON = 1e-9

function isMultiple(value: number, factor: number): boolean {
  if (isInt64(value) && Number.isInteger(factor)) return value % factor === 0
  const times = factor < 1 ? (1 / factor) * value : value / factor
  const whole = Math.round(times)
  return Math.abs(times) <= Number.MAX_SAFE_INTEGER && (times === whole || Math.abs(times - whole) < EPSILON * Math.abs(whole))
}

type PatternTest = (text: string) => string | undefined
const patterns = new WeakMap<Checks, PatternTest>()

/** RE2, compiled once for each place in a schema. Says what is wrong. */
function patternTest(checks: Checks, pattern: string): PatternTest {
  const known = patterns.get(checks)
  if (known) return known
  const made = compilePattern(pattern)
  patterns.set(checks, made)
  return made
}

function compilePattern(pattern: string): PatternTest {
  try {
    const regex = compileRegex(pattern)
    return (text) => (regex.test(text) ? undefined : `should match '${pattern}'`)
  } catch (error) {
    const { message } = error instanceof EvalError ? error : asError(error)
    return () => `should match '${pattern}, but pattern is invalid: ${message}'`
  }
}
