/** Runs the admission plugins of a phase in order; the first refusal ends it. */
import type { KubeObject } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionRequest, Refusal } from '../admission.ts'
import { forbidden, qualified, StatusError } from '../http/status.ts'
import type { Call } from './call.ts'

export interface Admission {
  operation: AdmissionRequest['operation']
  /** metadata.name may still be empty with generateName. */
  name: string
  object: KubeObject | undefined
  old: KubeObject | undefined
  dryRun: boolean
}

export async function admit(call: Call, phase: 'mutate' | 'validate', admission: Admission): Promise<void> {
  const api: AdmissionApi = { client: call.parts.client, warn: (text) => call.warn(text) }
  const request: AdmissionRequest = {
    ...admission, ref: call.row.ref, subresource: call.info.subresource, namespace: call.info.namespace, user: call.user,
  }
  for (const plugin of call.parts.admission) {
    const refusal = phase === 'mutate' ? await plugin.mutate?.(request, api) : await plugin.validate?.(request, api)
    if (refusal) throw refusalError(call, admission.name, refusal)
  }
}

function refusalError(call: Call, name: string, refusal: Refusal): StatusError {
  const { about, causes, ...status } = refusal
  const of = about ?? { group: call.row.ref.group, resource: call.row.ref.resource, name }
  const isBare = refusal.code === 403 && !refusal.message.includes('is forbidden')
  const body = isBare ? forbidden(of, of.name, refusal.message).body : { ...status, message: refusal.message === '' ? `${qualified(of)} "${of.name}" was refused` : refusal.message }
  const details = { ...(of.name !== '' && { name: of.name }), ...(of.group !== '' && { group: of.group }), kind: of.resource, ...(causes && { causes }), ...(refusal.code === 429 && { retryAfterSeconds: 1 }) }
  return new StatusError({ ...body, details })
}
