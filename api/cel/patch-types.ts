/** Types that mutating policies may construct: `Object`, `Object.spec`, ... with any fields, and `JSONPatch`. */
import type { CelField, CelObjectType } from './type.ts'
import { DYN, STRING } from './type.ts'
import type { CelValue } from './value.ts'
import { CelList, CelMap, Optional, StructValue } from './value.ts'

const OPERATION_FIELDS: ReadonlyMap<string, CelField> = new Map((['op', 'path', 'from', 'value'] as const).map((jsonName) => [jsonName, { jsonName, type: jsonName === 'value' ? DYN : STRING }]))

/** A list of these is what a JSONPatch expression evaluates to. */
export const JSON_PATCH_OPERATION: CelObjectType = { kind: 'object', name: 'JSONPatch', field: (name) => OPERATION_FIELDS.get(name), fieldNames: () => OPERATION_FIELDS.keys() }

const anyFields = (name: string): CelObjectType => ({ kind: 'object', name, field: (jsonName) => ({ jsonName, type: DYN }), fieldNames: () => [] })

/** What an ApplyConfiguration expression evaluates to. */
export const APPLY_CONFIGURATION: CelObjectType = anyFields('Object')

export function patchType(name: string): CelObjectType | undefined {
  if (name === JSON_PATCH_OPERATION.name) return JSON_PATCH_OPERATION
  return name === 'Object' || name.startsWith('Object.') ? anyFields(name) : undefined
}

/** Objects stand where their names say: `Object{spec: Object.status{}}` is a mistake that nothing else would notice. */
export function misplacedObjects(value: CelValue): string[] { return value instanceof StructValue ? misplaced(value, value.typeName) : [] }

function misplaced(value: CelValue, path: string): string[] {
  if (value instanceof StructValue) {
    const own = value.typeName === path ? [] : [`unexpected type name "${value.typeName}", expected "${path}", which matches field name path from root Object type`]
    return [...own, ...Array.from(value.fields, ([name, field]) => misplaced(field, `${path}.${name}`)).flat()]
  }
  if (value instanceof CelList) return Array.from(value, (item) => misplaced(item, path)).flat()
  if (value instanceof CelMap) return Array.from(value.keys(), (key) => misplaced(value.find(key) ?? null, path)).flat()
  return []
}

/** Where CEL's own null stands first: a field that is set to `optional.none()` is not it. */
export function nullPath(value: CelValue): readonly (string | number)[] | undefined {
  if (value === null) return []
  if (value instanceof Optional) return value.value === undefined ? undefined : nullPath(value.value)
  const within = value instanceof CelList ? Array.from(value, (item, i) => [i, item] as const) : value instanceof CelMap ? Array.from(value.keys(), (key) => [String(key as string), value.find(key) ?? null] as const) : []
  for (const [step, item] of within) {
    const rest = nullPath(item)
    if (rest) return [step, ...rest]
  }
  return undefined
}
