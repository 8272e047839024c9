/** What the schema walk of built-in kinds is for custom resources: metadata is typed, unknown fields are pruned and told. */
import type { DecodeProblem } from '#api/schema/schema.ts'
import type { Conformed } from '../../decode/conform.ts'
import { coerceMetadata } from './coerce-metadata.ts'
import { pruneNulls } from './defaults.ts'
import { isJsonObject, type SchemaNode } from './node.ts'
import { prune } from './prune.ts'

/** `value` is changed in place. `applied`: it is an applied configuration, whose nulls say something. */
export function conformCustom(value: unknown, root: SchemaNode, applied = false): Conformed {
  if (!isJsonObject(value)) return { ok: false, message: 'json: cannot unmarshal a value that is no object into Go value of type map[string]interface {}' }
  const keys = countKeys(value)
  const coerced = coerceMetadata(value, root)
  if (!coerced.ok) return coerced
  const { unknown } = prune(value, root, true)
  if (!applied) pruneNulls(value, root)
  // Upstream's order: its own metadata's, what the schema does not know, those of objects within.
  const isOwn = (path: string): boolean => path.startsWith('metadata.')
  const paths = [...coerced.unknown.filter(isOwn), ...unknown, ...coerced.unknown.filter((path) => !isOwn(path))]
  const problems = paths.map((path): DecodeProblem => ({ kind: 'unknown', path, message: `unknown field ${JSON.stringify(path)}` }))
  return { ok: true, problems, keys }
}

/** Depth is bounded by the decoder's limit. */
function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let count = 0
  if (Array.isArray(value)) for (const item of value) count += countKeys(item)
  else for (const key of Object.keys(value)) count += 1 + countKeys((value as Record<string, unknown>)[key])
  return count
}
