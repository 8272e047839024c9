/**
 * Refusals as upstream words them (apimachinery `api/errors`). Only this folder turns failures into a Status; verbs
 * throw `StatusError`, `app.ts` renders it.
 */
import type { ResourceRef } from '#api/types/index.ts'
import type { FieldError } from '../field-error.ts'
import { goQuote } from '../go-quote.ts'

export interface StatusCause { reason?: string; message?: string; field?: string }

export interface StatusDetails {
  name?: string
  group?: string
  kind?: string
  uid?: string
  causes?: StatusCause[]
  retryAfterSeconds?: number
}

export interface StatusBody {
  code: number
  reason: string
  message: string
  details?: StatusDetails
  /** ListMeta.continue: only `expiredContinue` sets it. */
  continue?: string
}

export class StatusError extends Error {
  readonly body: StatusBody
  constructor(body: StatusBody) {
    super(body.message)
    this.name = 'StatusError'
    this.body = body
  }
}

/** `pods` or `deployments.apps`, as messages name a resource. */
export const qualified = (ref: { group: string; resource: string }): string => (ref.group === '' ? ref.resource : `${ref.resource}.${ref.group}`)

const about = (ref: { group: string; resource: string }, name: string): StatusDetails => ({
  ...(name !== '' && { name }),
  ...(ref.group !== '' && { group: ref.group }),
  kind: ref.resource,
})

export const badRequest = (message: string): StatusError => new StatusError({ code: 400, reason: 'BadRequest', message })

export const unauthorized = (): StatusError => new StatusError({ code: 401, reason: 'Unauthorized', message: 'Unauthorized' })

export function forbidden(ref: { group: string; resource: string }, name: string, because: string): StatusError {
  const what = name === '' ? qualified(ref) : `${qualified(ref)} ${goQuote(name)}`
  return new StatusError({ code: 403, reason: 'Forbidden', message: `${what} is forbidden: ${because}`, details: about(ref, name) })
}

export const forbiddenPath = (because: string): StatusError => new StatusError({ code: 403, reason: 'Forbidden', message: `forbidden: ${because}`, details: {} })

export function notFound(ref: { group: string; resource: string }, name: string): StatusError {
  return new StatusError({ code: 404, reason: 'NotFound', message: `${qualified(ref)} ${goQuote(name)} not found`, details: about(ref, name) })
}

/** An error of upstream's storage that its API server passes on as it is. */
export const unexplained = (message: string): StatusError => new StatusError({ code: 500, reason: '', message })

/** No such path, group, version or resource. */
export const noSuchResource = (): StatusError => new StatusError({ code: 404, reason: 'NotFound', message: 'the server could not find the requested resource', details: {} })

export const methodNotAllowed = (): StatusError => new StatusError({ code: 405, reason: 'MethodNotAllowed', message: 'the server does not allow this method on the requested resource', details: {} })

export const notAcceptable = (accepted: readonly string[]): StatusError => new StatusError({ code: 406, reason: 'NotAcceptable', message: `only the following media types are accepted: ${accepted.join(', ')}` })

/** `isGoing`: it may be gone in a moment. */
export function alreadyExists(ref: { group: string; resource: string }, name: string, isGoing = false): StatusError {
  return new StatusError({ code: 409, reason: 'AlreadyExists', message: `${isGoing ? 'object is being deleted: ' : ''}${qualified(ref)} ${goQuote(name)} already exists`, details: about(ref, name) })
}

export function generateNameClash(ref: { group: string; resource: string }, name: string): StatusError {
  return new StatusError({
    code: 409, reason: 'AlreadyExists', message: `${qualified(ref)} ${goQuote(name)} already exists, the server was not able to generate a unique name for the object`,
    details: { ...about(ref, name), retryAfterSeconds: 1 },
  })
}

export const MODIFIED = 'the object has been modified; please apply your changes to the latest version and try again'

export function conflict(ref: { group: string; resource: string }, name: string, because = MODIFIED): StatusError {
  return new StatusError({ code: 409, reason: 'Conflict', message: `Operation cannot be fulfilled on ${qualified(ref)} ${goQuote(name)}: ${because}`, details: about(ref, name) })
}

export const expired = (message: string): StatusError => new StatusError({ code: 410, reason: 'Expired', message })

export const tooOld = (asked: number, oldest: number): StatusError => expired(`too old resource version: ${asked} (${oldest})`)

export const tooLarge = (limitBytes: number): StatusError => new StatusError({ code: 413, reason: 'RequestEntityTooLarge', message: `Request entity too large: limit is ${limitBytes}` })

export const unsupportedMediaType = (accepted: readonly string[]): StatusError => new StatusError({
  code: 415, reason: 'UnsupportedMediaType', message: `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
})

/** 422 with one cause per field error. `kind` is the object's kind, or e.g. `ListOptions` in group meta.k8s.io. */
export function invalid(of: { group: string; kind: string }, name: string, errors: readonly FieldError[]): StatusError {
  // Said once in the text, however many causes say it.
  const texts = [...new Set(errors.map((e) => `${e.field}: ${e.message}`))]
  const kind = of.group === '' ? of.kind : `${of.kind}.${of.group}`
  return new StatusError({
    code: 422, reason: 'Invalid',
    message: `${kind} ${goQuote(name)} is invalid: ${texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`}`,
    details: {
      ...(name !== '' && { name }), ...(of.group !== '' && { group: of.group }), ...(of.kind !== '' && { kind: of.kind }),
      causes: errors.map((e) => ({ reason: e.type, message: e.message, field: e.field })),
    },
  })
}

export const tooManyRequests = (message: string, retryAfterSeconds: number): StatusError => new StatusError({
  code: 429, reason: 'TooManyRequests', message, details: { retryAfterSeconds },
})

export const internal = (message: string): StatusError => new StatusError({
  code: 500, reason: 'InternalError', message: `Internal error occurred: ${message}`, details: { causes: [{ message }] },
})

export const badGateway = (message: string): StatusError => new StatusError({ code: 502, reason: 'BadGateway', message })

export const unavailable = (message: string, retryAfterSeconds?: number): StatusError => new StatusError({
  code: 503, reason: 'ServiceUnavailable', message, ...(retryAfterSeconds !== undefined && { details: { retryAfterSeconds } }),
})

/** `isExact`: nobody waits for it to come. */
export const futureRevision = (asked: number | bigint, current: number, isExact = false): StatusError => new StatusError({
  code: 504, reason: 'Timeout', message: `Timeout: Too large resource version: ${asked}, current: ${current}`,
  details: { causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }], ...(!isExact && { retryAfterSeconds: 1 }) },
})

/** It may or may not have been done, as after upstream's timeouts of etcd. */
export const outcomeUnknown = (message: string): StatusError => new StatusError({ code: 504, reason: 'Timeout', message: `Timeout: ${message}`, details: {} })

/** Of --request-timeout. */
export const timedOut = (): StatusError => new StatusError({ code: 504, reason: 'Timeout', message: 'Timeout: request did not complete within the allotted timeout', details: {} })

export const insufficientStorage = (message: string): StatusError => new StatusError({ code: 507, reason: 'InsufficientStorage', message })

/** The Status object of a refusal. */
export function statusObject(body: StatusBody): Record<string, unknown> {
  return {
    kind: 'Status', apiVersion: 'v1', metadata: body.continue === undefined ? {} : { continue: body.continue }, status: 'Failure',
    message: body.message, ...(body.reason !== '' && { reason: body.reason }), ...(body.details && { details: body.details }), code: body.code,
  }
}

/** What a deletion that left nothing to show answers. */
export function successStatus(ref: ResourceRef, name: string, uid: string | undefined): Record<string, unknown> {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: { ...about(ref, name), ...(uid !== undefined && { uid }) } }
}
