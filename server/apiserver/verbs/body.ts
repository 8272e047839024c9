/** The request's body as an object, with upstream's checks of who it claims to be. */
import { builtinSchema } from '#api/schema/index.ts'
import type { SchemaSet } from '#api/schema/schema.ts'
import type { KubeObject } from '#api/types/index.ts'
import { decodeObject, type DecodeOptions, type Refused } from '../decode/index.ts'
import { roundedIntegers } from '../decode/rounded-integers.ts'
import { badRequest, StatusError } from '../http/status.ts'
import type { Call } from './call.ts'
import type { FieldValidation } from './options.ts'
import type { Full } from './stored.ts'

/** The row's own kind. Namespace and name agree with the URL. */
export function readObject(call: Call, validation: FieldValidation): Full {
  const { ref, model, custom } = call.row
  const object = readBody<Full>(call, { model, expect: ref, validation, ...(custom && { schema: custom.types, conform: custom.conform }) })
  object.metadata ??= {}
  assertAddress(call, object)
  return object
}

export interface BodyOf { model: string; expect: { group: string; version: string; kind: string }; /** As for DecodeOptions. */ alsoAs?: readonly string[]; validation: FieldValidation; schema?: SchemaSet; conform?: DecodeOptions['conform'] }

/** A body of another type, as subresources take (Binding, Scale, Eviction, ...). */
export function readBody<T extends KubeObject>(call: Call, of: BodyOf): T {
  const decoded = decodeObject<T>(call.body ?? Buffer.alloc(0), call.headers['content-type'], { schema: of.schema ?? builtinSchema, model: of.model, expect: of.expect, conform: of.conform, ...(of.alsoAs && { alsoAs: of.alsoAs }), strictness: of.validation })
  if (!decoded.ok) throw refusedBody(decoded)
  for (const problem of decoded.problems) call.warn(problem.message)
  if (call.body) for (const text of roundedIntegers(call.body)) call.warn(text)
  call.noteObject?.(decoded.object)
  return decoded.object
}

export const refusedBody = ({ code, reason, message }: Refused): StatusError => new StatusError({ code, reason, message })

/** Fills in the namespace of the URL, or refuses an object that names another, or another name or none. `isConfiguration`: what is applied may leave its name to what is there. */
export function assertAddress(call: Call, object: Full, isConfiguration = false): void {
  const { info, row } = call
  const meta = object.metadata
  if (row.ref.namespaced) {
    if (meta.namespace && meta.namespace !== info.namespace) throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
    // Who applies none owns none, and messages do not name it.
    if (!isConfiguration) meta.namespace = info.namespace
  } else if (!isConfiguration || typeof meta.namespace === 'string') {
    delete meta.namespace
  }
  if (info.name === '') return
  if (!meta.name && isConfiguration) return
  if (!meta.name) throw badRequest(`the name of the object (${info.name} based on URL) was undeterminable: name must be provided`)
  if (meta.name !== info.name) throw badRequest(`the name of the object (${meta.name}) does not match the name on the URL (${info.name})`)
}
