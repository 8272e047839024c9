/** The two ways a mutating policy changes an object: a configuration laid over it as by server-side apply, and a JSON patch. */
import type { CelValue } from '#api/cel/index.ts'
import type { FieldType, SchemaSet } from '#api/schema/schema.ts'
import type { KubeObject } from '#api/types/index.ts'
import { conformObject } from '../decode/index.ts'
import type { KindRow } from '../kind.ts'
import { mergeTyped } from '../patch/apply/merge-typed.ts'
import { fieldType } from '../patch/apply/type-shape.ts'
import { applyJsonPatch } from '../patch/json-patch.ts'
import { getOwn, isObject, type Json } from '../patch/result.ts'
import { cloneJson } from '../storage/clone.ts'
import { typesOf } from '../verbs/call.ts'
import type { Cel } from './expressions.ts'

export type PatchedObject = { ok: true; object: Json } | { ok: false; message: string }

/** What is patched: an object of the row, or of a subresource's own kind. */
export interface Target { row: KindRow; model: string | undefined; object: KubeObject; names: { apiVersion: string; kind: string } }

export function applyConfiguration(cel: Cel, value: CelValue, { row, model, object, names }: Target): PatchedObject {
  const misplaced = cel.misplacedObjects(value)
  if (misplaced.length > 0) return { ok: false, message: `type mismatch: ${misplaced.join('\n')}` }
  const config = { ...(cloneJson(cel.toJson(value)) as Json), ...names }
  if (model === undefined) return { ok: false, message: `error applying patch: the schema of ${names.kind} is not known` }
  const schema = typesOf(row)
  const conformed = row.custom ? row.custom.conform(config) : conformObject(config, { schema, model, empties: 'keep' })
  const problem = conformed.ok ? conformed.problems[0] && `.${conformed.problems[0].path}: field not declared in schema` : conformed.message
  if (problem !== undefined) return { ok: false, message: `error applying patch: failed to convert patch object to typed object: ${problem}` }
  const atomics = findAtomics(config, { kind: 'ref', model }, schema, '')
  if (atomics.length > 0) return { ok: false, message: `error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${atomics.join(', ')}` }
  return { ok: true, object: mergeTyped(object as Json, config, model, schema) }
}

/** Whoever sets one field of an atomic value would drop all others without meaning to. */
function findAtomics(value: unknown, type: FieldType | undefined, schema: SchemaSet, path: string): string[] {
  if (isObject(value)) {
    if (type?.kind === 'map') return type.mapType === 'atomic' ? [path] : []
    const model = type?.kind === 'ref' ? schema.model(type.model) : undefined
    if (!model || type?.kind !== 'ref') return []
    const own = (type.structType ?? model.structType) === 'atomic' ? [path] : []
    return [...own, ...Object.keys(value).flatMap((key) => findAtomics(getOwn(value, key), fieldType(model, key), schema, `${path}.${key}`))]
  }
  if (!Array.isArray(value) || type?.kind !== 'list') return []
  const own = type.listType === 'atomic' ? [path] : []
  return [...own, ...value.flatMap((item, i) => findAtomics(item, type.items, schema, `${path}[${i}]`))]
}

/** A failed `test` leaves the object as it is. */
export function applyPatch(cel: Cel, value: CelValue, { object }: Target): PatchedObject {
  const operations = cel.toJson(value) as Json[]
  const list = Array.isArray(value) || typeof value !== 'object' || value === null || !(Symbol.iterator in value) ? [] : [...(value as Iterable<CelValue>)]
  const misplaced = list.flatMap((operation) => (typeof operation === 'object' && operation !== null && 'fields' in operation ? cel.misplacedObjects((operation.fields as ReadonlyMap<string, CelValue>).get('value') ?? null) : []))
  if (misplaced.length > 0) return { ok: false, message: `type mismatch: ${misplaced.join('\n')}` }
  const patched = applyJsonPatch(cloneJson(object) as Json, operations)
  if (patched.ok) return { ok: true, object: patched.value }
  const message = patched.message.replace(/^the server rejected our request due to an error in our request: /, '')
  return message.startsWith('test operation') ? { ok: true, object: object as Json } : { ok: false, message: `JSON Patch: ${message}` }
}
