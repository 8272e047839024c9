/** Items of sets and of lists with keys are one of a kind (apiextensions `listtype`). Pure. */
import { duplicate, invalid, type FieldError } from '../../field-error.ts'
import { canonicalJson } from '../canonical-json.ts'
import { isJsonObject, type Json, type SchemaNode } from './node.ts'

export function validateListItems(object: unknown, root: SchemaNode): FieldError[] {
  const out: FieldError[] = []
  if (hasUniqueLists(root)) visit(object, root, '', out)
  return out
}

const knowers = new WeakMap<SchemaNode, boolean>()

/** Most schemas have no such lists, and need no walk. */
function hasUniqueLists(node: SchemaNode): boolean {
  const known = knowers.get(node)
  if (known !== undefined) return known
  const below = [...Object.values(node.properties ?? {}), ...(node.items ? [node.items] : []), ...(typeof node.additional === 'object' ? [node.additional] : [])]
  const found = node.listType === 'set' || node.listType === 'map' || below.some(hasUniqueLists)
  knowers.set(node, found)
  return found
}

function visit(value: unknown, node: SchemaNode | undefined, path: string, out: FieldError[]): void {
  if (!node || !hasUniqueLists(node)) return
  if (Array.isArray(value)) {
    if (node.listType === 'set') out.push(...setErrors(value as unknown[], path))
    if (node.listType === 'map') out.push(...mapErrors(value as unknown[], node.listMapKeys ?? [], path))
    value.forEach((item, i) => visit(item, node.items, `${path}[${i}]`, out))
  } else if (isJsonObject(value)) {
    for (const key of Object.keys(value)) {
      const member = node.properties?.[key]
      if (member) visit(value[key], member, path === '' ? key : `${path}.${key}`, out)
      else if (typeof node.additional === 'object') visit(value[key], node.additional, `${path}[${key}]`, out)
    }
  }
}

const setErrors = (items: readonly unknown[], path: string): FieldError[] => repeated(items).map((i) => duplicate(`${path}[${i}]`, items[i]))

function mapErrors(items: readonly unknown[], keys: readonly string[], path: string): FieldError[] {
  const odd = items.findIndex((item) => item !== null && !isJsonObject(item))
  if (odd >= 0) return [invalid(`${path}[${odd}]`, items[odd], 'must be an object for an array of list-type map')]
  const names = items.map((item) => keysOf(item, keys))
  return repeated(names).map((i) => duplicate(`${path}[${i}]`, names[i]))
}

const keysOf = (item: unknown, keys: readonly string[]): Json => (isJsonObject(item) ? Object.fromEntries(keys.filter((key) => Object.hasOwn(item, key)).map((key) => [key, item[key]])) : {})

/** Where something is seen for the second time; the third is not told. */
function repeated(items: readonly unknown[]): number[] {
  const times = new Map<string, number>()
  const second: number[] = []
  for (const [i, item] of items.entries()) {
    const id = canonicalJson(item)
    const count = (times.get(id) ?? 0) + 1
    times.set(id, count)
    if (count === 2) second.push(i)
  }
  return second
}
