/** How items of lists are named in field paths, and how paths are printed for people. */
import type { FieldType, ModelSchema, SchemaSet } from '#api/schema/schema.ts'
import { zeroOf } from '../../decode/zero-value.ts'
import { getOwn, isObject } from '../result.ts'

export type ListType = FieldType & { kind: 'list' }

/** The element of an item of a `map` or `set` list; undefined when the item has none of the keys, or is of the wrong shape. */
export function elementOf(item: unknown, list: ListType, schema: SchemaSet): string | undefined {
  if (list.listType === 'set') return typeof item === 'object' && item !== null && !isObject(item) ? undefined : `v:${JSON.stringify(item)}`
  if (!isObject(item)) return undefined
  const model = list.items.kind === 'ref' ? schema.model(list.items.model) : undefined
  let text = ''
  for (const key of keysOf(list)) {
    const value = getOwn(item, key) ?? (model && defaultOf(model, key, schema))
    if (value !== undefined && value !== null) text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${JSON.stringify(value)}`
  }
  return text === '' ? undefined : `k:{${text}}`
}

/** OpenAPI states the zero of what Go always writes as its default. */
function defaultOf(model: ModelSchema, key: string, schema: SchemaSet): unknown {
  const field = model.fields[key]
  return field?.default ?? (field?.zero === 'written' ? zeroOf(field.type, schema) : undefined)
}

function keysOf(list: ListType): readonly string[] {
  const keys = list.listMapKeys ?? []
  return keys.length < 2 ? keys : keys.toSorted()
}

/** `.spec.containers[name="a"].image`. */
export function pathText(path: readonly string[]): string {
  return path.map((element) => {
    const rest = element.slice(2)
    switch (element[0]) {
      case 'f': return `.${rest}`
      case 'v': return `[=${rest}]`
      case 'k': return `[${Object.entries(JSON.parse(rest) as Record<string, unknown>).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`
      default: return `[${rest}]`
    }
  }).join('')
}
