/**
 * An applied configuration may hold empty maps and lists (`annotations: {}`): it owns them, and they empty what was
 * there, but stored objects have none of them. Pure; unchanged parts are shared.
 */
import type { FieldType, SchemaSet } from '#api/schema/schema.ts'
import { isObject, setOwn, type Json } from '../result.ts'

export function withoutEmpties(object: Json, model: string, schema: SchemaSet): Json {
  return strip(object, { kind: 'ref', model }, schema) as Json
}

function strip(value: unknown, type: FieldType, schema: SchemaSet): unknown {
  if (type.kind === 'list' && Array.isArray(value)) {
    if (type.items.kind === 'scalar') return value
    const items = value.map((item) => strip(item, type.items, schema))
    return items.every((item, i) => item === value[i]) ? value : items
  }
  const fields = type.kind === 'ref' ? schema.model(type.model)?.fields : undefined
  if (!fields || !isObject(value)) return value
  let kept: Json | undefined
  for (const key of Object.keys(value)) {
    const field = fields[key]
    if (!field) continue
    const member = value[key]
    const drop = !field.required && isEmpty(member, field.type)
    const next = drop ? undefined : strip(member, field.type, schema)
    if (next === member) continue
    kept ??= { ...value }
    if (drop) delete kept[key]
    else setOwn(kept, key, next)
  }
  return kept ?? value
}

function isEmpty(value: unknown, type: FieldType): boolean {
  if (type.kind === 'list') return Array.isArray(value) && value.length === 0
  return type.kind === 'map' && isObject(value) && Object.keys(value).length === 0
}
