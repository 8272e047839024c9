/** Whether an applied configuration is of its type, in the words of structured-merge-diff. Pure. */
import type { FieldType, ScalarType, SchemaSet } from '#api/schema/schema.ts'
import { goSyntax, goText } from '../go-text.ts'
import { isObject, PatchError, type Json } from '../result.ts'
import { elementOf, pathText, type ListType } from './path-element.ts'
import { fieldType } from './type-shape.ts'

/** Throws a PatchError that names each fault. Null is of every type. */
export function assertTyped(config: Json, model: string, schema: SchemaSet): void {
  const faults: string[] = []
  new Walk(schema, faults).value(config, { kind: 'ref', model })
  if (faults.length > 0) throw new PatchError(400, faults.length === 1 ? (faults[0] as string) : ['errors:', ...faults.map((f) => `  ${f}`)].join('\n'))
}

const TEXTUAL = new Set<ScalarType>(['string', 'byte'])
const NUMERIC = new Set<ScalarType>(['int32', 'int64', 'double'])

class Walk {
  readonly #schema: SchemaSet
  readonly #faults: string[]
  readonly #path: string[] = []

  constructor(schema: SchemaSet, faults: string[]) {
    this.#schema = schema
    this.#faults = faults
  }

  value(value: unknown, type: FieldType): void {
    // A map of itself stands for what no schema tells of.
    if (value === null || value === undefined || (type.kind === 'map' && type.values === type)) return
    switch (type.kind) {
      case 'any': return
      case 'scalar': return this.#scalar(value, type.scalar)
      case 'list': return Array.isArray(value) ? this.#list(value, type) : this.#fail(`expected list, got ${goWrapped(value)}`)
      case 'map': case 'ref':
        if (!isObject(value)) return this.#fail(`expected map, got ${goWrapped(value)}`)
        for (const key of Object.keys(value)) {
          this.#path.push(`f:${key}`)
          const member = type.kind === 'map' ? type.values : this.#memberOf(type.model, key)
          if (!member) {
            this.#fail('field not declared in schema')
            this.#path.pop()
            return
          }
          this.value(value[key], member)
          this.#path.pop()
        }
    }
  }

  #memberOf(model: string, key: string): FieldType | undefined {
    const known = this.#schema.model(model)
    return known && fieldType(known, key)
  }

  #list(items: readonly unknown[], list: ListType): void {
    const seen = new Set<string>()
    for (const [i, item] of items.entries()) {
      let element = `i:${i}`
      if (list.listType !== 'atomic') {
        const fault = elementFault(item, list)
        const named = fault === undefined ? elementOf(item, list, this.#schema) : undefined
        if (named === undefined) return this.#fail(`element ${i}: ${fault ?? `associative list with keys has an element that omits all key fields [${(list.listMapKeys ?? []).map((k) => JSON.stringify(k)).join(' ')}] (and doesn't have default values for any key fields)`}`)
        if (seen.has(named)) this.#fail(`duplicate entries for key ${pathText([named])}`)
        seen.add(named)
        element = named
      }
      this.#path.push(element)
      this.value(item, list.items)
      this.#path.pop()
    }
  }

  #scalar(value: unknown, scalar: ScalarType): void {
    if (NUMERIC.has(scalar)) {
      if (typeof value !== 'number') this.#fail(`expected numeric (int or float), got ${goType(value)}`)
    } else if (scalar === 'boolean') {
      if (typeof value !== 'boolean') this.#fail(`expected boolean, got ${goWrapped(value)}`)
    } else if (TEXTUAL.has(scalar)) {
      if (typeof value !== 'string') this.#fail(`expected string, got &value.valueUnstructured{Value:${goSyntax(value)}}`)
    } else if (typeof value === 'object') this.#fail(`expected any scalar, got ${goWrapped(value)}`)
  }

  #fail(message: string): void {
    const path = pathText(this.#path)
    this.#faults.push(path === '' ? message : `${path}: ${message}`)
  }
}

function elementFault(item: unknown, list: ListType): string | undefined {
  if (list.listType === 'map') {
    if (item === null) return 'associative list with keys may not have a null element'
    return isObject(item) ? undefined : 'associative list with keys may not have non-map elements'
  }
  if (isObject(item)) return "associative list without keys has an element that's a map type"
  if (Array.isArray(item)) return 'not supported: associative list with lists as elements'
  return item === null ? "associative list without keys has an element that's an explicit null" : undefined
}

/** Go's %T of a decoded value. */
function goType(value: unknown): string {
  if (typeof value === 'string') return 'string'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64'
  if (value === null) return '<nil>'
  return Array.isArray(value) ? '[]interface {}' : 'map[string]interface {}'
}

/** Go's %v of a value in its wrapper. */
const goWrapped = (value: unknown): string => `&{${goText(value)}}`
