/** Server-side apply: merges what a manager wants into what is there, or creates it. */
import type { ApiResponse } from '#api/client/transport.ts'
import { apiVersionOf, type KubeObject } from '#api/types/index.ts'
import { duplicateLines, parseBody, type Conformed, yamlErrors } from '../decode/index.ts'
import { required } from '../field-error.ts'
import { badRequest, conflict, invalid, StatusError } from '../http/status.ts'
import { apply, type Applied } from '../patch/apply/apply.ts'
import { isObject, jsonKindOf } from '../patch/result.ts'
import { assertAddress, refusedBody } from './body.ts'
import { typesOf, type Call } from './call.ts'
import { change, UNCONDITIONAL_ATTEMPTS, type Change } from './change.ts'
import { insert } from './create.ts'
import { parseWriteOptions, type WriteOptions } from './options.ts'
import { readKey, type Full } from './stored.ts'
import { assertRevision } from './validity.ts'

/** Of an object that somebody makes, and somebody else takes away again, meanwhile. */
const ATTEMPTS = 5

export async function applyPatch(call: Call): Promise<ApiResponse> {
  const options = parseApplyOptions(call)
  const config = parseConfig(call)
  for (let attempt = 1; ; attempt++) {
    if (await readKey(call.parts, call.row, call.info.namespace, call.info.name)) return change(call, changeTo(call, () => config, options))
    try {
      return await applyNew(call, config, options)
    } catch (error) {
      // Someone created it meanwhile: then it is a change.
      if (attempt === ATTEMPTS || !(error instanceof StatusError && error.body.reason === 'AlreadyExists')) throw error
    }
  }
}

/** For subresources, whose object must be there: what is sent is looked at once it is. */
export function applyChange(call: Call): Change {
  const options = parseApplyOptions(call)
  let config: Full | undefined
  return changeTo(call, () => (config ??= parseConfig(call)), options)
}

function changeTo(call: Call, configOf: () => Full, options: WriteOptions): Change {
  return {
    next(old) {
      const config = configOf()
      const object = applied(call, config, options, old)
      assertRevision(call, object)
      if (!config.metadata.resourceVersion) object.metadata.resourceVersion = ''
      return object
    },
    part: 'main', fields: 'apply', options, attempts: UNCONDITIONAL_ATTEMPTS,
  }
}

async function applyNew(call: Call, config: Full, options: WriteOptions): Promise<ApiResponse> {
  if (config.metadata.uid) throw conflict(call.row.ref, call.info.name, `uid mismatch: the provided object specified uid ${config.metadata.uid}, and no existing object was found`)
  const object = applied(call, config, options, undefined)
  assertAddress(call, object)
  // Which state was meant does not matter where there is none.
  delete object.metadata.resourceVersion
  return insert(call, object, options, 'Apply')
}

function applied(call: Call, config: Full, options: WriteOptions, live: Full | undefined): Full {
  const { row, info, parts } = call
  const result = apply({
    live, config, manager: options.givenManager, force: options.force ?? false, subresource: info.subresource, apiVersion: apiVersionOf(row.ref),
    nowMs: parts.clock.nowMs(), schema: typesOf(row), model: row.model, hasStatus: row.subresources.includes('status'), statusKeepsMetadata: row.strategy.statusKeepsMetadata !== undefined, reset: row.strategy.resetThrough?.[info.subresource], specIsOwnerless: row.strategy.specIsOwnerless ?? false, conform: row.custom && ((value) => row.custom?.conform(value, true) as Conformed),
  })
  if (result.ok) {
    const object = result.object as Full
    object.metadata ??= {}
    return object
  }
  throw refusedApply(result)
}

export function refusedApply(result: Applied & { ok: false }): StatusError {
  const { code, reason, message } = result
  return new StatusError({ code, reason, message, ...(result.code === 409 && { details: { causes: result.causes } }) })
}

export function parseApplyOptions(call: Call): WriteOptions {
  const options = parseWriteOptions(call, 'PatchOptions')
  if (options.givenManager === '') throw invalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', [required('fieldManager', 'is required for apply patch')])
  return options
}

function tellDuplicates(call: Call, lines: readonly string[]): void {
  const validation = call.query.text('fieldValidation')
  if (lines.length === 0 || validation === 'Ignore') return
  if (validation === 'Strict') throw badRequest(`error strict decoding YAML: error converting YAML to JSON: ${yamlErrors(lines)}`)
  for (const line of lines) call.warn(line)
}

/** `ref`: the kind that is applied, where it is not the row's. */
export function parseConfig(call: Call, ref: { group: string; version: string; kind: string } = call.row.ref): Full {
  const parsed = parseBody(call.body ?? Buffer.alloc(0), call.headers['content-type'])
  if (!parsed.ok) throw parsed.code === 415 ? refusedBody(parsed) : badRequest(`error decoding YAML: error converting YAML to JSON: ${parsed.message}`)
  const { value } = parsed
  tellDuplicates(call, duplicateLines(call.body ?? Buffer.alloc(0), parsed))
  if (value !== null && !isObject(value)) throw badRequest(`error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${jsonKindOf(value)} into Go value of type map[string]interface {}`)
  const config = (value ?? {}) as KubeObject
  if (config.kind !== ref.kind || config.apiVersion !== apiVersionOf(ref)) throw badRequest(`invalid object type: ${kindText(config)}`)
  config.metadata ??= {}
  if (!isObject(config.metadata)) throw badRequest('error decoding YAML: metadata is not an object')
  const full = config as Full
  assertAddress(call, full, true)
  return full
}

/** As Go prints a GroupVersionKind; one that cannot be read is empty. */
function kindText({ apiVersion, kind }: { apiVersion?: unknown; kind?: unknown }): string {
  const parts = typeof apiVersion === 'string' ? apiVersion.split('/') : ['']
  if (parts.length > 2) return '/, Kind='
  return `${parts.length === 2 ? parts.join('/') : `/${parts[0] ?? ''}`}, Kind=${typeof kind === 'string' ? kind : ''}`
}
