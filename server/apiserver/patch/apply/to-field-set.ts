/** The fields that an applied configuration sets, by schema: leaves, map keys and list items. */
import type { FieldType, SchemaSet } from '#api/schema/schema.ts'
import { isObject, PatchError, type Json } from '../result.ts'
import { emptySet, insertPath, type FieldSet } from './field-set.ts'
import { elementOf, pathText } from './path-element.ts'
import { fieldType, shapeOf } from './type-shape.ts'

/** Throws a PatchError for list items that have no key or share one, unless `lenient` (live objects: such lists are leaves). */
export function toFieldSet(object: Json, model: string, schema: SchemaSet, lenient = false): FieldSet {
  const set = emptySet()
  const path: string[] = []
  const visit = (value: unknown, type: FieldType | undefined): void => {
    const shape = shapeOf(type, schema)
    if ((shape.kind === 'struct' || shape.kind === 'map') && isObject(value)) {
      const keys = Object.keys(value)
      for (const key of keys) {
        const member = value[key]
        if (member === undefined) continue
        path.push(`f:${key}`)
        visit(member, shape.kind === 'map' ? shape.values : fieldType(shape.model, key))
        if (shape.kind === 'map' || !(key in shape.model.fields) || isEmptyMap(member)) insertPath(set, path)
        path.pop()
      }
      return
    }
    if (shape.kind === 'list' && Array.isArray(value)) {
      const elements = value.map((item) => elementOf(item, shape.list, schema))
      const problem = listProblem(elements, path, value)
      if (problem !== undefined && !lenient) throw new PatchError(400, problem)
      if (problem !== undefined) insertPath(set, path)
      else value.forEach((item, i) => {
        path.push(elements[i] as string)
        visit(item, shape.list.items)
        insertPath(set, path)
        path.pop()
      })
      return
    }
    if (path.length > 0) insertPath(set, path)
  }
  visit(object, { kind: 'ref', model })
  return set
}

const isEmptyMap = (value: unknown): boolean => isObject(value) && Object.keys(value).length === 0

function listProblem(elements: readonly (string | undefined)[], path: readonly string[], items: readonly unknown[]): string | undefined {
  const missing = elements.indexOf(undefined)
  if (missing >= 0) return `${pathText(path)}: element ${missing}: associative list with keys has an element that omits all key fields (and doesn't have default values for any key fields): ${JSON.stringify(items[missing])}`
  const seen = new Set<string | undefined>()
  for (const element of elements) {
    if (seen.has(element)) return `${pathText(path)}: duplicate entries for key ${pathText([element as string])}`
    seen.add(element)
  }
  return undefined
}
