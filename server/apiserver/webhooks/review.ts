/** AdmissionReview (admission.k8s.io v1, v1beta1): the question that is sent, and what an answer must look like. Pure. */
import type { KubeObject } from '#api/types/index.ts'
import type { AdmissionRequest } from '../admission.ts'
import type { StatusBody, StatusDetails } from '../http/status.ts'
import type { KindRow } from '../kind.ts'
import { requestFields, type Invocation } from './request-fields.ts'

const GROUP = 'admission.k8s.io'
const JSON_PATCH = 'JSONPatch'

export function reviewRequest({ hook, row, object, old }: Invocation, own: KindRow, request: AdmissionRequest, uid: string): Buffer {
  const { dryRun, options, ...fields } = requestFields(row, own, request)
  return Buffer.from(JSON.stringify({
    kind: 'AdmissionReview', apiVersion: `${GROUP}/${hook.reviewVersion ?? 'v1'}`,
    request: { uid, ...fields, object: object ?? null, oldObject: old ?? null, dryRun, options },
  }))
}

export interface Answer {
  allowed: boolean
  /** As sent, decoded; undefined: none. */
  patch: string | undefined
  patchType: string
  status: Partial<StatusBody> | undefined
  warnings: readonly string[]
  auditAnnotations: Readonly<Record<string, string>>
}

interface ResponseJson {
  uid?: unknown
  allowed?: unknown
  status?: unknown
  patch?: unknown
  patchType?: unknown
  auditAnnotations?: unknown
  warnings?: unknown
}

/** apiserver `VerifyAdmissionResponse`; refusals are its words. */
export function parseReview(value: unknown, expected: { uid: string; version: 'v1' | 'v1beta1'; mutating: boolean }): { ok: true; answer: Answer } | { ok: false; message: string } {
  const refuse = (message: string) => ({ ok: false, message }) as const
  if (!isRecord(value)) return refuse('the answer is no object')
  const { apiVersion, kind } = value as KubeObject
  // What does not say what it is, is taken for what was asked for: answers of v1beta1 never had to.
  if (![undefined, '', 'AdmissionReview'].includes(kind) || ![undefined, '', `${GROUP}/v1`, `${GROUP}/v1beta1`].includes(apiVersion)) return refuse(`expected webhook response of ${GROUP}/${expected.version}, Kind=AdmissionReview, got ${gvkText(apiVersion, kind)}`)
  const response = value['response'] as ResponseJson | null | undefined
  if (!isRecord(response)) return refuse('webhook response was absent')
  const patch = typeof response.patch === 'string' && response.patch !== '' ? Buffer.from(response.patch, 'base64').toString() : undefined
  if (expected.version === 'v1') {
    if (response.uid !== expected.uid) return refuse(`expected response.uid=${JSON.stringify(expected.uid)}, got ${JSON.stringify(typeof response.uid === 'string' ? response.uid : '')}`)
    if (kind !== 'AdmissionReview' || apiVersion !== `${GROUP}/v1`) return refuse(`expected webhook response of ${GROUP}/v1, Kind=AdmissionReview, got ${gvkText(apiVersion, kind)}`)
    const { patchType } = response
    const hasType = patchType !== undefined && patchType !== null
    if (expected.mutating) {
      if (patch !== undefined && !hasType) return refuse('webhook returned response.patch but not response.patchType')
      if (patch === undefined && hasType) return refuse('webhook returned response.patchType but not response.patch')
      if (patchType === '') return refuse('webhook returned invalid response.patchType of ""')
    } else {
      if (patch !== undefined) return refuse('validating webhook may not return response.patch')
      if (hasType) return refuse('validating webhook may not return response.patchType')
    }
  }
  return {
    ok: true,
    answer: {
      allowed: response.allowed === true, patch: expected.mutating ? patch : undefined, patchType: expected.version === 'v1' && typeof response.patchType === 'string' ? response.patchType : JSON_PATCH,
      status: isRecord(response.status) ? (response.status as Partial<StatusBody>) : undefined,
      warnings: Array.isArray(response.warnings) ? response.warnings.filter((w): w is string => typeof w === 'string') : [],
      auditAnnotations: isRecord(response.auditAnnotations) ? Object.fromEntries(Object.entries(response.auditAnnotations).filter((e): e is [string, string] => typeof e[1] === 'string')) : {},
    },
  }
}

/** What the client gets when a webhook says no (apiserver `ToStatusErr`). */
export function rejection(hookName: string, given: Partial<StatusBody> = {}): StatusBody {
  const deniedBy = `admission webhook ${JSON.stringify(hookName)} denied the request`
  const reason = typeof given.reason === 'string' ? given.reason : ''
  const because = typeof given.message === 'string' && given.message !== '' ? given.message : reason
  const code = typeof given.code === 'number' && given.code >= 400 && given.code < 600 ? Math.trunc(given.code) : 400
  return { code, reason, message: because === '' ? `${deniedBy} without explanation` : `${deniedBy}: ${because}`, ...(isRecord(given.details) && { details: given.details as StatusDetails }) }
}

function gvkText(apiVersion: unknown, kind: unknown): string {
  const text = typeof apiVersion === 'string' ? apiVersion : ''
  return `${text.includes('/') ? text : `/${text}`}, Kind=${typeof kind === 'string' ? kind : ''}`
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
