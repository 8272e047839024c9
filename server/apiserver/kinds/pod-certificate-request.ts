/** PodCertificateRequest: a kubelet asks a signer for a certificate in a pod's name (KEP-4317). */
import type { Condition, V1beta1PodCertificateRequest as PodCertificateRequest } from '#api/types/index.ts'
import { checkDnsSubdomain } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, required, tooLong } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { cloneJson } from '../storage/clone.ts'
import { keepSpec, keepStatus, RESET_FOR_STATUS } from './carry.ts'
import { immutable, named } from './check.ts'
import { validateConditions } from './conditions.ts'
import { validatePodCertificateKey } from './pod-certificate-key.ts'
import { semanticEqual } from './semantic-equal.ts'
import { validateSignerName } from './signer-name.ts'
import { column, formatLabels, nameColumn } from './table-columns.ts'

const EXPIRATION_SECONDS_MIN = 3600
const EXPIRATION_SECONDS_MAX = 7_862_400
/** Upstream's default, and the most that signers of Kubernetes' own give: a day. */
const EXPIRATION_SECONDS = 86_400
const UID_BYTES_MAX = 128
const DECISIONS = ['Issued', 'Denied', 'Failed']

export const podCertificateRequestStrategy: KindStrategy<PodCertificateRequest> = {
  requiresRevision: true,
  statusKeepsMetadata: RESET_FOR_STATUS,
  generation: false,
  defaults(request) {
    if (request.spec) request.spec.maxExpirationSeconds ??= EXPIRATION_SECONDS
  },
  prepareCreate: (request) => { request.status = {} },
  prepareUpdate: keepStatus,
  prepareStatusUpdate(request, old, ctx) {
    keepSpec(request, old)
    const before = old.status?.conditions ?? []
    const now = `${new Date(ctx.nowMs).toISOString().slice(0, 19)}Z`
    for (const condition of request.status?.conditions ?? []) {
      const known = before.find((c) => c.type === condition.type && c.status === condition.status)
      condition.lastTransitionTime ||= known?.lastTransitionTime ?? now
    }
    // What is decided stays word for word, unless it is removed.
    if (request.status?.conditions) request.status.conditions = request.status.conditions.map((c) => (DECISIONS.includes(c.type) ? cloneJson(before.find((b) => b.type === c.type) ?? c) : c))
  },
  validate: validateRequest,
  validateUpdate: (request, old) => immutable('spec', request.spec, old.spec),
  validateStatusUpdate: validateStatus,
  columns: [
    nameColumn(),
    column('PodName', 'podName is the name of the pod into which the certificate will be mounted.', (o) => o.spec?.podName ?? ''),
    column('ServiceAccountName', 'serviceAccountName is the name of the service account the pod is running as.', (o) => o.spec?.serviceAccountName ?? ''),
    column('NodeName', 'nodeName is the name of the node the pod is assigned to.', (o) => o.spec?.nodeName ?? ''),
    column('SignerName', 'signerName indicates the requested signer.', (o) => o.spec?.signerName ?? ''),
    column('State', 'Is the request Pending, Issued, Denied, or Failed?', (o) => o.status?.conditions?.findLast((c) => DECISIONS.includes(c.type))?.type ?? 'Pending'),
    column('UnverifiedUserAnnotations', 'unverifiedUserAnnotations allow pod authors to pass additional information to the signer implementation.  Kubernetes does not restrict or validate this metadata in any way.', (o) => formatLabels(o.spec?.unverifiedUserAnnotations)),
  ],
  selectsNamespace: false,
  selectableFields: {
    'spec.signerName': (o) => o.spec?.signerName ?? '',
    'spec.podName': (o) => o.spec?.podName ?? '',
    'spec.nodeName': (o) => o.spec?.nodeName ?? '',
  },
}

function validateRequest(request: PodCertificateRequest): FieldError[] {
  const spec: Partial<PodCertificateRequest['spec']> = request.spec ?? {}
  const seconds = spec.maxExpirationSeconds
  const longest = /^([^/]*\.)?kubernetes\.io\//.test(spec.signerName ?? '') ? EXPIRATION_SECONDS : EXPIRATION_SECONDS_MAX
  const out = [
    ...validateSignerName('spec.signerName', spec.signerName),
    ...named('spec.podName', spec.podName ?? '', checkDnsSubdomain), ...uid('spec.podUID', spec.podUID),
    ...named('spec.serviceAccountName', spec.serviceAccountName ?? '', checkDnsSubdomain), ...uid('spec.serviceAccountUID', spec.serviceAccountUID),
    ...named('spec.nodeName', spec.nodeName ?? '', checkDnsSubdomain), ...uid('spec.nodeUID', spec.nodeUID),
  ]
  if (seconds === undefined) out.push(required('spec.maxExpirationSeconds', 'must be set'))
  else if (seconds < EXPIRATION_SECONDS_MIN || seconds > longest) out.push(invalid('spec.maxExpirationSeconds', seconds, `must be in the range [${EXPIRATION_SECONDS_MIN}, ${longest}]`))
  return seconds === undefined ? out : [...out, ...validatePodCertificateKey(spec)]
}

function uid(at: string, value: string | undefined): FieldError[] {
  if (!value) return [invalid(at, '', 'must not be empty')]
  return Buffer.byteLength(value) > UID_BYTES_MAX ? [tooLong(at, UID_BYTES_MAX)] : []
}

function validateStatus(request: PodCertificateRequest, old: PodCertificateRequest): FieldError[] {
  const status = request.status ?? {}
  const out = validateConditions('status.conditions', status.conditions)
  const decided = (conditions: readonly Condition[] | undefined) => (conditions ?? []).filter((c) => DECISIONS.includes(c.type))
  const before = decided(old.status?.conditions)
  const now = decided(status.conditions)
  for (const [i, c] of (status.conditions ?? []).entries()) if (DECISIONS.includes(c.type) && c.status !== 'True') out.push({ type: 'FieldValueNotSupported', field: `status.conditions[${i}].status`, message: `Unsupported value: ${JSON.stringify(c.status)}: supported values: "True"` })
  if (now.length > 1) out.push(invalid('status.conditions', now.map((c) => c.type), 'There may be at most one condition with type "Issued", "Denied", or "Failed"'))
  if (before.length > 0 && !semanticEqual(request.status, old.status)) return [...out, invalid('status', '<value omitted>', 'immutable after PodCertificateRequest is issued, denied, or failed')]
  const issued = now.some((c) => c.type === 'Issued')
  for (const key of ['certificateChain', 'notBefore', 'beginRefreshAt', 'notAfter'] as const) {
    if (issued && !status[key]) out.push(required(`status.${key}`, 'must be set when the request is issued'))
    if (!issued && status[key]) out.push(forbidden(`status.${key}`, 'may only be set when the request is issued'))
  }
  if (issued && status.certificateChain && !/-----BEGIN CERTIFICATE-----/.test(status.certificateChain)) out.push(invalid('status.certificateChain', '<value omitted>', 'must contain at least one CERTIFICATE PEM block'))
  const [from, refresh, to] = [status.notBefore, status.beginRefreshAt, status.notAfter].map((t) => Date.parse(t ?? '')) as [number, number, number]
  if (to < from) out.push(invalid('status.notAfter', status.notAfter, 'must be after status.notBefore'))
  if (refresh < from) out.push(invalid('status.beginRefreshAt', status.beginRefreshAt, 'must be after status.notBefore'))
  if (refresh > to) out.push(invalid('status.beginRefreshAt', status.beginRefreshAt, 'must be before status.notAfter'))
  return out
}
