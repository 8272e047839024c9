/** Certificate signing requests: who asks is recorded by the server, who approves has a subresource. */
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from '#api/types/index.ts'
import { type FieldError, invalid, required } from '../field-error.ts'
import type { KindContext, KindStrategy } from '../kind.ts'
import { cloneJson } from '../storage/clone.ts'
import { immutable } from './check.ts'
import { ageColumn, column, humanDuration, nameColumn } from './table-columns.ts'

/** Shortest lifetime that may be asked for. */
const EXPIRATION_SECONDS_MIN = 600
const USAGES: ReadonlySet<string> = new Set([
  'signing', 'digital signature', 'content commitment', 'key encipherment', 'key agreement', 'data encipherment', 'cert sign', 'crl sign', 'encipher only', 'decipher only', 'any', 'server auth', 'client auth',
  'code signing', 'email protection', 's/mime', 'ipsec end system', 'ipsec tunnel', 'ipsec user', 'timestamping', 'ocsp signing', 'microsoft sgc', 'netscape sgc',
])

export const certificateSigningRequestStrategy: KindStrategy<CertificateSigningRequest> = {
  nameRule: 'path-segment',
  generation: false,

  prepareCreate(csr, ctx) {
    const spec = csr.spec
    spec.username = ctx.user.name
    spec.groups = [...ctx.user.groups]
    delete spec.uid
    delete spec.extra
    if (ctx.user.uid) spec.uid = ctx.user.uid
    if (ctx.user.extra && Object.keys(ctx.user.extra).length > 0) spec.extra = Object.fromEntries(Object.entries(ctx.user.extra).map(([k, v]) => [k, [...v]]))
    csr.status = {}
  },

  prepareUpdate(csr, old) {
    csr.spec = cloneJson(old.spec)
    if (old.status) csr.status = cloneJson(old.status)
    else delete csr.status
  },

  // Approval and denial are not for `/status`, the certificate is not for `/approval`.
  prepareStatusUpdate(csr, old, ctx) {
    csr.spec = cloneJson(old.spec)
    const decided = (old.status?.conditions ?? []).filter(isDecision)
    const others = (csr.status?.conditions ?? []).filter((c) => !isDecision(c))
    csr.status = { ...csr.status, ...(decided.length + others.length > 0 && { conditions: stamp([...decided, ...others], old, ctx) }) }
  },

  validate: validateRequest,
  validateUpdate: validateRequest,
  validateStatusUpdate: (csr, old) => [
    ...validateConditions(csr),
    ...(old.status?.certificate ? immutable('status.certificate', csr.status?.certificate, old.status.certificate) : []),
    ...(csr.status?.certificate && !/-----BEGIN CERTIFICATE-----/.test(Buffer.from(csr.status.certificate, 'base64').toString('latin1')) ? [invalid('status.certificate', '<certificate data>', 'must contain at least one CERTIFICATE PEM block')] : []),
  ],

  columns: [
    nameColumn(),
    ageColumn(),
    column('SignerName', 'signerName indicates the requested signer, and is a qualified name.', (o) => o.spec.signerName || '<none>'),
    column('Requestor', 'username contains the name of the user that created the CertificateSigningRequest.', (o) => o.spec.username ?? ''),
    column('RequestedDuration', 'expirationSeconds is the requested duration of validity of the issued certificate.', (o) => (o.spec.expirationSeconds === undefined ? '<none>' : humanDuration(o.spec.expirationSeconds * 1000))),
    column('Condition', 'conditions applied to the request.', conditionText),
  ],
  selectableFields: { 'spec.signerName': (o) => o.spec.signerName },
}

const isDecision = (c: CertificateSigningRequestCondition): boolean => c.type === 'Approved' || c.type === 'Denied'

function stamp(conditions: CertificateSigningRequestCondition[], old: CertificateSigningRequest, ctx: KindContext): CertificateSigningRequestCondition[] {
  const now = `${new Date(ctx.nowMs).toISOString().slice(0, 19)}Z`
  return conditions.map((c) => {
    const before = old.status?.conditions?.find((o) => o.type === c.type && o.status === c.status)
    return { ...c, lastUpdateTime: c.lastUpdateTime ?? now, lastTransitionTime: c.lastTransitionTime ?? before?.lastTransitionTime ?? now }
  })
}

function validateRequest(csr: CertificateSigningRequest): FieldError[] {
  const { request, signerName, usages, expirationSeconds } = csr.spec
  const out: FieldError[] = []
  if (!request) out.push(required('spec.request'))
  else if (!/-----BEGIN CERTIFICATE REQUEST-----/.test(Buffer.from(request, 'base64').toString('latin1'))) out.push(invalid('spec.request', request, 'PEM block type must be CERTIFICATE REQUEST'))
  if ((usages ?? []).length === 0) out.push(required('spec.usages'))
  const seen = new Set<string>()
  for (const [i, usage] of (usages ?? []).entries()) {
    if (!USAGES.has(usage)) out.push({ type: 'FieldValueNotSupported', field: `spec.usages[${i}]`, message: `Unsupported value: ${JSON.stringify(usage)}: supported values: ${[...USAGES].sort().map((u) => JSON.stringify(u)).join(', ')}` })
    if (seen.has(usage)) out.push({ type: 'FieldValueDuplicate', field: `spec.usages[${i}]`, message: `Duplicate value: ${JSON.stringify(usage)}` })
    seen.add(usage)
  }
  if (!signerName) out.push(required('spec.signerName'))
  else if (!/^[^/]+\/[^/]+/.test(signerName)) out.push(invalid('spec.signerName', signerName, 'must be a fully qualified domain and path of the form "example.com/signer-name"'))
  if (expirationSeconds !== undefined && expirationSeconds < EXPIRATION_SECONDS_MIN) out.push(invalid('spec.expirationSeconds', expirationSeconds, 'may not specify a duration less than 600 seconds (10 minutes)'))
  return [...out, ...validateConditions(csr)]
}

function validateConditions(csr: CertificateSigningRequest): FieldError[] {
  const out: FieldError[] = []
  const types = new Set<string>()
  for (const [i, c] of (csr.status?.conditions ?? []).entries()) {
    const at = `status.conditions[${i}]`
    if (!c.type) out.push(required(`${at}.type`))
    if (!c.status) out.push(required(`${at}.status`))
    else if (c.status !== 'True' && ['Approved', 'Denied', 'Failed'].includes(c.type)) out.push({ type: 'FieldValueNotSupported', field: `${at}.status`, message: `Unsupported value: ${JSON.stringify(c.status)}: supported values: "True"` })
    if (types.has(c.type)) out.push({ type: 'FieldValueDuplicate', field: `${at}.type`, message: `Duplicate value: ${JSON.stringify(c.type)}` })
    types.add(c.type)
    if ((c.type === 'Approved' && types.has('Denied')) || (c.type === 'Denied' && types.has('Approved'))) out.push(invalid(`${at}.type`, c.type, 'Approved and Denied conditions are mutually exclusive'))
  }
  return out
}

function conditionText(csr: CertificateSigningRequest): string {
  const types = new Set((csr.status?.conditions ?? []).map((c) => c.type))
  const words: string[] = []
  if (types.has('Denied')) words.push('Denied')
  else if (types.has('Approved')) words.push('Approved')
  else words.push('Pending')
  if (types.has('Failed')) words.push('Failed')
  if (csr.status?.certificate) words.push('Issued')
  return words.join(',')
}
