/** Refusals in the forms plugins need. The API server puts `pods "x" is forbidden: ` before a 403's message. */
import type { AdmissionRequest, Refusal } from '../admission.ts'

export const refuse = (message: string): Refusal => ({ code: 403, reason: 'Forbidden', message })

/** True for the object itself (no subresource) of this core or group kind. */
export function isFor(request: AdmissionRequest, group: string, resource: string): boolean {
  return request.ref.group === group && request.ref.resource === resource
}
