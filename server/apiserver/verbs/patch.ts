/** PATCH: JSON patch, merge patch, strategic merge patch and server-side apply. */
import type { ApiResponse } from '#api/client/transport.ts'
import { builtinSchema, type SchemaSet } from '#api/schema/index.ts'
import { apiVersionOf, type KubeObject } from '#api/types/index.ts'
import { decodeValue, duplicateFields, parseBody, patchedKindError, type DecodeOptions } from '../decode/index.ts'
import { applyJsonPatch, JSON_PATCH_OPERATIONS_MAX } from '../patch/json-patch.ts'
import { applyMergePatch } from '../patch/merge-patch.ts'
import type { Json, Patched } from '../patch/result.ts'
import { applyStrategicMergePatch } from '../patch/strategic-merge-patch.ts'
import { forbidden as forbiddenField, invalid as invalidField } from '../field-error.ts'
import { roundedIntegers } from '../decode/rounded-integers.ts'
import { badRequest, invalid, StatusError, unsupportedMediaType } from '../http/status.ts'
import { cloneJson } from '../storage/clone.ts'
import { assertAddress, refusedBody } from './body.ts'
import { applyPatch, applyChange } from './apply.ts'
import type { Call } from './call.ts'
import { change, UNCONDITIONAL_ATTEMPTS, type Change } from './change.ts'
import { parseWriteOptions, type WriteOptions } from './options.ts'
import type { Full } from './stored.ts'
import { assertRevision } from './validity.ts'

const JSON_PATCH = 'application/json-patch+json'
const MERGE_PATCH = 'application/merge-patch+json'
const STRATEGIC = 'application/strategic-merge-patch+json'
export const APPLY = 'application/apply-patch+yaml'
const TYPES = [JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY]
/** Custom resources say nothing of patch strategies. */
const CUSTOM_TYPES = [JSON_PATCH, MERGE_PATCH, APPLY]

export async function patch(call: Call): Promise<ApiResponse> {
  return typeOf(call) === APPLY ? applyPatch(call) : change(call, patchChange(call))
}

/** For subresources that take patches of the whole object: they set `part`. */
export function patchChange(call: Call): Change {
  if (typeOf(call) === APPLY) return applyChange(call)
  const options = parsePatchOptions(call)
  const body = parsePatchBody(call)
  return { next: (old, copy) => patched(call, old, copy, body, options), part: 'main', fields: 'update', options, attempts: UNCONDITIONAL_ATTEMPTS }
}

/** Patches any value of a known model, as /scale needs. */
export function patchValue(call: Call, value: KubeObject, model: string, expect: { group: string; version: string; kind: string }, options: WriteOptions): KubeObject {
  const body = parsePatchBody(call)
  return decoded(call, patchedJson(call, value as Json, () => cloneJson(value) as Json, body.value, model), body, { schema: builtinSchema, model, expect }, options)
}

export function typeOf(call: Call): string {
  const type = (call.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const types = call.row.custom ? CUSTOM_TYPES : TYPES
  // Upstream's router refuses for built-in kinds, the handler for custom resources.
  if (!types.includes(type)) throw call.row.custom ? unsupportedMediaType(types) : new StatusError({ code: 415, reason: 'UnsupportedMediaType', message: '415: Unsupported Media Type', details: {} })
  return type
}

function parsePatchOptions(call: Call): WriteOptions {
  const options = parseWriteOptions(call, 'PatchOptions')
  if (options.force !== undefined) throw invalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', [forbiddenField('force', 'may not be specified for non-apply patch')])
  return options
}

/** `doubtful`: what fieldValidation minds in the text itself. */
interface PatchBody { value: unknown; doubtful: readonly string[] }

function parsePatchBody(call: Call): PatchBody {
  const bytes = call.body ?? Buffer.alloc(0)
  const parsed = parseBody(bytes, call.headers['content-type'])
  for (const text of roundedIntegers(bytes)) call.warn(text)
  if (parsed.ok) return { value: parsed.value, doubtful: typeOf(call) === JSON_PATCH ? doubtfulOperations(bytes, parsed) : duplicateFields(bytes, parsed) }
  // A strategic merge patch is read where it is applied.
  throw parsed.code === 415 ? refusedBody(parsed) : badRequest(typeOf(call) === STRATEGIC ? parsed.message : `error decoding patch: ${parsed.message}`)
}

const OPERATION_FIELDS: ReadonlySet<string> = new Set(['op', 'path', 'from', 'value'])

function doubtfulOperations(bytes: Buffer, parsed: Parameters<typeof duplicateFields>[1]): string[] {
  const operations = Array.isArray(parsed.value) ? parsed.value.slice(0, JSON_PATCH_OPERATIONS_MAX) : []
  const unknown = operations.flatMap((op: unknown, i) => (typeof op === 'object' && op !== null ? Object.keys(op).filter((key) => !OPERATION_FIELDS.has(key)).map((key) => `unknown field "[${i}].${key}"`) : []))
  const operationOf = (text: string): number => Number(/\[(\d+)\]/.exec(text)?.[1] ?? 0)
  return [...duplicateFields(bytes, parsed), ...unknown].toSorted((a, b) => operationOf(a) - operationOf(b)).slice(0, DOUBTFUL_MAX).map((text) => `json patch ${text}`)
}

/** As many as upstream's strict decoder reports. */
const DOUBTFUL_MAX = 100

function patched(call: Call, old: Full, copy: () => Full, patch: PatchBody, options: WriteOptions): Full {
  const body = patch.value
  const json = patchedJson(call, old as unknown as Json, copy as () => unknown as () => Json, body, call.row.model)
  assertVersioned(call, json, patch, options)
  if (call.row.custom) assertCustomKind(call, json, patch)
  const object = decoded(call, json, patch, targetOf(call), options) as Full
  object.metadata ??= {}
  assertAddress(call, object)
  assertRevision(call, object)
  // What the patch did not name is what was read: no precondition follows from it.
  if (object.metadata.resourceVersion === old.metadata.resourceVersion && !namesRevision(body)) object.metadata.resourceVersion = ''
  return object
}

/** What says of no version what it is, upstream reads as its own internal form, of which it then knows neither name nor fields. */
function assertVersioned(call: Call, json: Json, patch: PatchBody, { fieldValidation }: WriteOptions): void {
  const { apiVersion } = json
  if (typeOf(call) === STRATEGIC || call.row.custom || (apiVersion !== undefined && apiVersion !== null && apiVersion !== '')) return
  const fields = Object.keys(json).filter((key) => key !== 'apiVersion' && key !== 'kind').toSorted().map((key) => `unknown field ${JSON.stringify(key)}`)
  if (fieldValidation === 'Strict') throw unfitting(call, patch, `strict decoding error: ${[...patch.doubtful, ...fields].join(', ')}`)
  if (fieldValidation !== 'Ignore') for (const text of [...patch.doubtful, ...fields]) call.warn(text)
  throw badRequest(`the name of the object (${call.info.name} based on URL) was undeterminable: name must be provided`)
}

/** A custom resource says in itself what it is: a patch may not say otherwise. */
function assertCustomKind(call: Call, json: Json, patch: PatchBody): void {
  const { ref } = call.row
  const { apiVersion, kind } = json
  if (kind === undefined || kind === null || kind === '') throw unfitting(call, patch, `Object 'Kind' is missing in '${JSON.stringify(json)}'`)
  if (apiVersion === undefined || apiVersion === null || apiVersion === '') throw badRequest("Object 'apiVersion' is missing in 'object has no apiVersion field'")
  // What is no text is the decoder's to complain about.
  if (typeof kind !== 'string' || typeof apiVersion !== 'string') return
  const errors = [...(kind === ref.kind ? [] : [invalidField('kind', kind, `must be ${ref.kind}`)]), ...(apiVersion === apiVersionOf(ref) ? [] : [invalidField('apiVersion', apiVersion.replace(/^\//, ''), `must be ${apiVersionOf(ref)}`)])]
  if (errors.length > 0) throw invalid({ group: apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '', kind }, call.info.name, errors)
}

/** A patch that carries a resourceVersion is meant for that state only. */
function namesRevision(body: unknown): boolean {
  if (Array.isArray(body)) return body.some((op: unknown) => typeof op === 'object' && op !== null && (op as { path?: unknown }).path === '/metadata/resourceVersion')
  const metadata = typeof body === 'object' && body !== null ? (body as { metadata?: { resourceVersion?: unknown } | null }).metadata : undefined
  return metadata?.resourceVersion !== undefined && metadata.resourceVersion !== null
}

/** Shares nothing with `value` and `body`: it is changed in place from here on. */
function patchedJson(call: Call, value: Json, copy: () => Json, body: unknown, model: string): Json {
  const result = patchOf(typeOf(call), value, copy, body, model)
  if (!result.ok) throw new StatusError({ code: result.code, reason: result.reason, message: result.message, ...(result.code === 422 && { details: {} }) })
  return result.value
}

function patchOf(type: string, value: Json, copy: () => Json, body: unknown, model: string): Patched {
  switch (type) {
    case JSON_PATCH: return applyJsonPatch(value, body)
    case MERGE_PATCH: return applyMergePatch(copy(), cloneJson(body))
    default: return applyStrategicMergePatch(copy(), cloneJson(body), { schema: builtinSchema, model })
  }
}

interface Target { schema: SchemaSet; model: string; expect: { group: string; version: string; kind: string }; conform?: DecodeOptions['conform'] }

function targetOf({ row: { ref, model, custom } }: Call): Target {
  return { schema: custom?.types ?? builtinSchema, model, expect: ref, conform: custom?.conform }
}

function decoded(call: Call, value: Json, patch: PatchBody, target: Target, { fieldValidation }: WriteOptions): KubeObject {
  const wrongKind = typeOf(call) === STRATEGIC || target.conform ? undefined : patchedKindError(value, target)
  if (wrongKind !== undefined) throw unfitting(call, patch, wrongKind)
  const result = decodeValue(value, { ...target, strictness: fieldValidation === 'Ignore' ? 'Ignore' : 'Warn', words: typeOf(call) === STRATEGIC ? 'converter' : 'decoder' })
  if (!result.ok) throw unfitting(call, patch, result.message)
  if (fieldValidation === 'Ignore') return result.object
  const problems = [...patch.doubtful, ...result.problems.map(({ message }) => message)]
  if (fieldValidation === 'Strict' && problems.length > 0) throw unfitting(call, patch, `strict decoding error: ${problems.join(', ')}`)
  for (const problem of problems) call.warn(problem)
  return result.object
}

/** The patch itself is sound, what it makes is not of the kind: upstream's 422 about `patch`. */
function unfitting(call: Call, patch: PatchBody, message: string): StatusError {
  const shown = typeOf(call) === STRATEGIC ? goText(patch.value) : (call.body ?? Buffer.alloc(0)).toString()
  return invalid({ group: '', kind: '' }, '', [invalidField('patch', shown.slice(0, PATCH_SHOWN_MAX), message)])
}

/** A value as Go prints it with %v: `map[a:1 b:[x y]]`. */
function goText(value: unknown): string {
  if (value === null) return '<nil>'
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`
  if (typeof value !== 'object') return String(value as string | number | boolean)
  return `map[${Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => `${key}:${goText(item)}`).join(' ')}]`
}

/** Characters. */
const PATCH_SHOWN_MAX = 1024
