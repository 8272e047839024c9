/** The two ways a mutating policy changes an object: a configuration laid over it as by server-side apply, and a JSON patch. */
import type { CelValue } from '#api/cel/index.ts'
import type { FieldType, SchemaSet } from '#api/schema/schema.ts'
import type { KubeObject } from '#api/types/index.ts'
import { conformObject } from '../decode/index.ts'
import type { KindRow } from '../kind.ts'
import { mergeTyped } from '../patch/apply/merge-typed.ts'
import { fieldType } from '../patch/apply/type-shape.ts'
import { assertTyped } from '../patch/apply/validate-typed.ts'
import { applyJsonPatch } from '../patch/json-patch.ts'
import { getOwn, isObject, PatchError, type Json } from '../patch/result.ts'
import { cloneJson } from '../storage/clone.ts'
import { typesOf } from '../verbs/call.ts'
import type { Cel } from './expressions.ts'

export type PatchedObject = { ok: true; object: Json } | { ok: false; message: string }

/** What is patched: an object of the row, or of a subresource's own kind. */
export interface Target { row: KindRow; model: string | undefined; object: KubeObject; names: { apiVersion: string; kind: string } }

export function applyConfiguration(cel: Cel, value: CelValue, { row, model, object, names }: Target): PatchedObject {
  const misplaced = cel.misplacedObjects(value)
  if (misplaced.length > 0) return { ok: false, message: `type mismatch: ${misplaced.join('\n')}` }
  const json = toJson(cel, value)
  if (!json.ok) return { ok: false, message: `error applying patch: ${json.message}` }
  const config = { ...(json.value as Json), ...names }
  if (model === undefined) return { ok: false, message: `error applying patch: the schema of ${names.kind} is not known` }
  const schema = typesOf(row)
  const nullAt = cel.nullPath(value)
  const problem = typeProblem(config, model, schema) ?? (nullAt && nullProblem(nullAt, { kind: 'ref', model }, schema))
  if (problem !== undefined) return { ok: false, message: `error applying patch: failed to convert patch object to typed object: ${problem}` }
  const atomics = findAtomics(config, { kind: 'ref', model }, schema, '')
  if (atomics.length > 0) return { ok: false, message: `error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${atomics.join(', ')}` }
  return { ok: true, object: mergeTyped(object as Json, config, model, schema) }
}

function typeProblem(config: Json, model: string, schema: SchemaSet): string | undefined {
  try {
    assertTyped(config, model, schema)
  } catch (error) {
    if (error instanceof PatchError) return error.message
    throw error
  }
  return undefined
}

/** CEL's null is no null of JSON to upstream's types, and so of none of them. */
function nullProblem(path: readonly (string | number)[], type: FieldType | undefined, schema: SchemaSet, told = ''): string {
  const [step, ...rest] = path
  if (step === undefined) return `${told}: expected ${type?.kind === 'list' ? 'list' : type?.kind === 'ref' || type?.kind === 'map' ? 'map' : 'any scalar'}, got &{NULL_VALUE}`
  if (typeof step === 'number') return nullProblem(rest, type?.kind === 'list' ? type.items : undefined, schema, `${told}[${step}]`)
  const model = type?.kind === 'ref' ? schema.model(type.model) : undefined
  return nullProblem(rest, type?.kind === 'map' ? type.values : model && fieldType(model, step), schema, `${told}.${step}`)
}

/** As plain JSON, which nothing else holds on to, where there is such a form. */
function toJson(cel: Cel, value: CelValue): { ok: true; value: unknown } | { ok: false; message: string } {
  try {
    return { ok: true, value: cloneJson(cel.toJson(value)) }
  } catch (error) {
    if (error instanceof cel.EvalError) return { ok: false, message: error.message }
    throw error
  }
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
export function applyPatch(cel: Cel, value: CelValue, { row, model, object }: Target): PatchedObject {
  const json = toJson(cel, value)
  if (!json.ok) return { ok: false, message: `JSONPath valueExpression evaluated to a type that could not marshal to JSON: ${json.message}` }
  const operations = (json.value as Json[]).map((operation) => ({ op: '', path: '', ...operation }))
  const list = Array.isArray(value) || typeof value !== 'object' || value === null || !(Symbol.iterator in value) ? [] : [...(value as Iterable<CelValue>)]
  const misplaced = list.flatMap((operation) => (typeof operation === 'object' && operation !== null && 'fields' in operation ? cel.misplacedObjects((operation.fields as ReadonlyMap<string, CelValue>).get('value') ?? null) : []))
  if (misplaced.length > 0) return { ok: false, message: `type mismatch: ${misplaced.join('\n')}` }
  const patched = applyJsonPatch(cloneJson(object) as Json, operations)
  if (patched.ok) {
    const unknown = row.custom || model === undefined ? [] : unknownFields(patched.value, model, typesOf(row))
    return unknown.length === 0 ? { ok: true, object: patched.value } : { ok: false, message: `Internal error occurred: strict decoding error: ${unknown.join(', ')}` }
  }
  const message = patched.message.replace(/^the server rejected our request due to an error in our request: /, '')
  return message.startsWith('test operation') ? { ok: true, object: object as Json } : { ok: false, message: `JSON Patch: ${message}` }
}

/** What a built-in kind does not have; values of a wrong type are told by who takes the object. */
function unknownFields(object: Json, model: string, schema: SchemaSet): string[] {
  const conformed = conformObject(cloneJson(object), { schema, model })
  return conformed.ok ? conformed.problems.filter(({ kind }) => kind === 'unknown').map(({ message }) => message) : []
}
