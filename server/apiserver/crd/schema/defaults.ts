/** Nulls and defaults, as apiextensions' `defaulting` treats them. Changes the object in place; true when anything changed. */
import { setOwn } from '../../decode/conform.ts'
import { cloneJson } from '../../storage/clone.ts'
import { coerceMetadata, mayEmbed } from './coerce-metadata.ts'
import { isJsonObject, memberNode, type Json, type SchemaNode } from './node.ts'

/** What is missing is filled in, and what is null though it may not be. Metadata that defaults brought is read as metadata is. */
export function applyDefaults(object: Json, node: SchemaNode): boolean {
  const changed = fill(object, node)
  if (changed && mayEmbed(node)) coerceMetadata(object, node)
  return changed
}

/** Nulls that are not allowed and have no default go. */
export function pruneNulls(value: unknown, node: SchemaNode | undefined): boolean {
  let changed = false
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) if (pruneNulls(item, node?.items)) changed = true
  } else if (isJsonObject(value)) {
    for (const key of Object.keys(value)) {
      const member = memberNode(node, key)
      if (value[key] === null && member && !member.nullable && member.default === undefined) {
        delete value[key]
        changed = true
      } else if (pruneNulls(value[key], member)) changed = true
    }
  }
  return changed
}

const isDefaultableNull = (value: unknown, node: SchemaNode | undefined): boolean => value === null && node !== undefined && !node.nullable && node.default !== undefined

function fill(value: unknown, node: SchemaNode | undefined): boolean {
  if (!node) return false
  return Array.isArray(value) ? fillList(value as unknown[], node) : isJsonObject(value) ? fillObject(value, node) : false
}

function fillList(list: unknown[], node: SchemaNode): boolean {
  let changed = false
  for (let i = 0; i < list.length; i++) {
    if (isDefaultableNull(list[i], node.items)) {
      list[i] = cloneJson(node.items?.default)
      changed = true
    }
    if (fill(list[i], node.items)) changed = true
  }
  return changed
}

function fillObject(object: Json, node: SchemaNode): boolean {
  let changed = false
  for (const key in node.properties) {
    const member = node.properties[key]
    if (!member || member.default === undefined) continue
    if (Object.hasOwn(object, key) && !isDefaultableNull(object[key], member)) continue
    setOwn(object, key, cloneJson(member.default))
    changed = true
  }
  for (const key of Object.keys(object)) {
    const member = memberNode(node, key)
    if (isDefaultableNull(object[key], member)) {
      setOwn(object, key, cloneJson(member?.default))
      changed = true
    }
    if (fill(object[key], member)) changed = true
  }
  return changed
}
