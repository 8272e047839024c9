/** metadata, kind and apiVersion of a custom resource and of resources embedded in it: read as their Go types would be. */
import { builtinSchema } from '#api/schema/index.ts'
import { conformObject } from '../../decode/conform.ts'
import { invalid, type FieldError } from '../../field-error.ts'
import { cloneJson } from '../../storage/clone.ts'
import { isJsonObject, memberNode, type Json, type SchemaNode } from './node.ts'
import { asEmbedded } from './prune.ts'

export type Coerced =
  | { ok: true; /** Paths of unknown fields. */ unknown: string[] }
  /** As upstream words it; of what is embedded `spec.a.metadata: Invalid value: ...`. */
  | { ok: false; message: string }

/** Of the object and what is embedded in it. Changes the object. */
export function coerceMetadata(object: Json, root: SchemaNode): Coerced {
  const unknown: string[] = []
  const { metadata } = object
  // Its own is told in the decoder's words, without the field's name.
  if (metadata !== undefined && metadata !== null) {
    const conformed = conformObject(metadata, { schema: builtinSchema, model: 'ObjectMeta' })
    if (!conformed.ok) return { ok: false, message: conformed.message }
    for (const { path } of conformed.problems) unknown.push(`metadata.${path}`)
  }
  const problem = coerce(object, asEmbedded(root), '', unknown)
  return problem === undefined ? { ok: true, unknown } : { ok: false, message: `${problem.field}: ${problem.message}` }
}

/** Of what is embedded in a value at `path`, and of the value itself where its schema says that it is embedded. Changes the value. */
export const coerceEmbedded = (value: unknown, node: SchemaNode, path: string): FieldError | undefined => coerce(value, node, path, [])

function coerce(value: unknown, node: SchemaNode | undefined, path: string, unknown: string[]): FieldError | undefined {
  if (!node || !mayEmbed(node)) return undefined
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const problem = coerce(value[i], node.items, `${path}[${i}]`, unknown)
      if (problem) return problem
    }
    return undefined
  }
  if (!isJsonObject(value)) return undefined
  const prefix = path === '' ? '' : `${path}.`
  const problem = node.embedded ? coerceTypeMeta(value, prefix) ?? coerceObjectMeta(value, prefix, unknown) : undefined
  if (problem) return problem
  for (const key of Object.keys(value)) {
    const below = coerce(value[key], memberNode(node, key), node.properties?.[key] ? prefix + key : `${path}[${key}]`, unknown)
    if (below) return below
  }
  return undefined
}

function coerceTypeMeta(object: Json, prefix: string): FieldError | undefined {
  for (const key of ['apiVersion', 'kind']) {
    if (Object.hasOwn(object, key) && typeof object[key] !== 'string') return invalid(prefix + key, object[key], 'must be a string')
  }
  return undefined
}

function coerceObjectMeta(object: Json, prefix: string, unknown: string[]): FieldError | undefined {
  const { metadata } = object
  if (metadata === undefined) return undefined
  if (metadata === null) {
    object['metadata'] = {}
    return undefined
  }
  const before = cloneJson(metadata)
  const conformed = conformObject(metadata, { schema: builtinSchema, model: 'ObjectMeta' })
  if (!conformed.ok) return invalid(`${prefix}metadata`, before, conformed.message)
  for (const { path } of conformed.problems) unknown.push(`${prefix}metadata.${path}`)
  return undefined
}

const embedders = new WeakMap<SchemaNode, boolean>()

/** Whether an embedded resource may be found at or below the node: most schemas have none, and need no walk. */
export function mayEmbed(node: SchemaNode): boolean {
  const known = embedders.get(node)
  if (known !== undefined) return known
  const below = [...Object.values(node.properties ?? {}), ...(node.items ? [node.items] : []), ...(typeof node.additional === 'object' ? [node.additional] : [])]
  const found = node.embedded || below.some(mayEmbed)
  embedders.set(node, found)
  return found
}
