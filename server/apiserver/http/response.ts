/** Building blocks of answers. */
import { isBodyStream, type ApiResponse } from '#api/client/transport.ts'
import { printYaml } from '../decode/print-yaml.ts'
import type { StatusBody } from './status.ts'
import { statusObject } from './status.ts'

export const JSON_TYPE = 'application/json'

export function jsonResponse(value: unknown, status = 200): ApiResponse {
  return { status, headers: { 'content-type': JSON_TYPE }, body: Buffer.from(`${JSON.stringify(value)}\n`) }
}

export function textResponse(text: string, status = 200): ApiResponse {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' }, body: Buffer.from(text) }
}

/** Of no refusal a client may keep a copy: kubectl's cache of answers would show it long after its reason is gone. */
export function statusResponse(body: StatusBody): ApiResponse {
  const response = jsonResponse(statusObject(body), body.code)
  response.headers['cache-control'] = 'no-cache, private'
  if (body.details?.retryAfterSeconds !== undefined) response.headers['retry-after'] = String(body.details.retryAfterSeconds)
  return response
}

/** JSON for who asked for YAML: refusals, and what is made for one answer. Streams stay as they are. */
export function yamlResponse(response: ApiResponse): ApiResponse {
  if (response.headers['content-type'] !== JSON_TYPE || isBodyStream(response.body) || isPacked(response)) return response
  const bytes = Buffer.isBuffer(response.body) ? response.body : Buffer.concat(response.body)
  return bytes.length === 0 ? response : { ...response, headers: { ...response.headers, 'content-type': 'application/yaml' }, body: printYaml(JSON.parse(bytes.toString())) }
}

/** People's own tools get indented JSON without asking, as upstream gives it. */
export const isReadByPeople = (userAgent: string | undefined): boolean => userAgent !== undefined && /^(?:curl|Wget|Mozilla\/5\.0)/.test(userAgent)

/** Compressed already, as documents that are kept so are (OpenAPI): there is no JSON to read. */
export const isPacked = (response: ApiResponse): boolean => response.headers['content-encoding'] !== undefined

/** The same JSON, indented. Streams stay as they are. */
export function prettyResponse(response: ApiResponse): ApiResponse {
  if (!(response.headers['content-type'] ?? '').startsWith(JSON_TYPE) || isBodyStream(response.body) || isPacked(response)) return response
  const bytes = Buffer.isBuffer(response.body) ? response.body : Buffer.concat(response.body)
  // The answer to a HEAD has none.
  if (bytes.length === 0) return response
  return { ...response, body: Buffer.from(`${JSON.stringify(JSON.parse(bytes.toString()), undefined, 2)}\n`) }
}
