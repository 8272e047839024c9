/** Certificate signing requests: who asks is recorded by the server, who approves has a subresource. */
import { X509Certificate } from 'node:crypto'
import { asError } from '#base/errors.ts'
import { parseRequest, publicKeyFromSpki } from '#base/x509/index.ts'
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, required } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { fieldSetOf } from '../patch/apply/managed-fields.ts'
import { cloneJson } from '../storage/clone.ts'
import { oneOf } from './check.ts'
import { validateSignerName } from './signer-name.ts'
import { ageColumn, column, humanDuration, nameColumn } from './table-columns.ts'

const LEGACY_SIGNER = 'kubernetes.io/legacy-unknown'
const REQUEST_LABEL = 'CERTIFICATE REQUEST'
/** In the words of Go's packages. */
const VERIFICATION_FAILURES: Readonly<Record<string, string>> = { ec: 'x509: ECDSA verification failure', ed25519: 'x509: Ed25519 verification failure', rsa: 'crypto/rsa: verification error' }
/** Shortest lifetime that may be asked for. */
const EXPIRATION_SECONDS_MIN = 600
const USAGES: ReadonlySet<string> = new Set([
  'signing', 'digital signature', 'content commitment', 'key encipherment', 'key agreement', 'data encipherment', 'cert sign', 'crl sign', 'encipher only', 'decipher only', 'any', 'server auth', 'client auth',
  'code signing', 'email protection', 's/mime', 'ipsec end system', 'ipsec tunnel', 'ipsec user', 'timestamping', 'ocsp signing', 'microsoft sgc', 'netscape sgc',
])

export const certificateSigningRequestStrategy: KindStrategy<CertificateSigningRequest> = {
  specIsOwnerless: true,
  resetThrough: { status: fieldSetOf('status.conditions'), approval: fieldSetOf('status.certificate') },
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
    const conditions = DECISIONS.reduce((list, type) => keepInstances(list, old, type), csr.status?.conditions ?? [])
    csr.status = { ...csr.status, ...(conditions.length > 0 && { conditions: stamp(conditions, old, ctx.nowMs) }) }
  },

  validate: validateRequest,
  validateUpdate: validateRequest,
  validateStatusUpdate(csr, old) {
    const [now, before] = [csr.status?.certificate, old.status?.certificate]
    return [
      ...validateConditions(csr),
      ...(now === before || validateCertificate(before).length > 0 ? [] : validateCertificate(now)),
      ...keptConditions(csr, old),
      ...keptDecisions(csr, old),
      ...(before && now !== before ? [forbidden('status.certificate', 'updates may not modify existing certificate content')] : []),
    ]
  },

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

const DECISIONS = ['Approved', 'Denied']

const ofType = ({ status }: CertificateSigningRequest, type: string): CertificateSigningRequestCondition[] => (status?.conditions ?? []).filter((c) => c.type === type)

/** What was decided is not for `/status` to change: as many conditions of a type as there were are those that were. Others are left for validation to refuse. */
function keepInstances(conditions: CertificateSigningRequestCondition[], old: CertificateSigningRequest, type: string): CertificateSigningRequestCondition[] {
  const before = ofType(old, type)
  if (conditions.filter((c) => c.type === type).length !== before.length) return conditions
  let next = 0
  return conditions.map((c) => (c.type === type ? (before[next++] ?? c) : c))
}

/** Gives conditions the times that they lack. */
export function stamp(conditions: readonly CertificateSigningRequestCondition[], old: CertificateSigningRequest, nowMs: number): CertificateSigningRequestCondition[] {
  const now = `${new Date(nowMs).toISOString().slice(0, 19)}Z`
  return conditions.map((c) => {
    const before = old.status?.conditions?.find((o) => o.type === c.type && o.status === c.status && o.lastTransitionTime)
    return { ...c, lastUpdateTime: c.lastUpdateTime ?? now, lastTransitionTime: c.lastTransitionTime ?? before?.lastTransitionTime ?? now }
  })
}

function validateRequest(csr: CertificateSigningRequest): FieldError[] {
  const { request, signerName, usages, expirationSeconds } = csr.spec
  const out: FieldError[] = []
  const misread = requestProblem(request)
  if (misread !== undefined) out.push(invalid('spec.request', request || null, misread))
  if ((usages ?? []).length === 0) out.push(required('spec.usages'))
  const seen = new Set<string>()
  for (const [i, usage] of (usages ?? []).entries()) {
    if (!USAGES.has(usage)) out.push({ type: 'FieldValueNotSupported', field: `spec.usages[${i}]`, message: `Unsupported value: ${JSON.stringify(usage)}: supported values: ${[...USAGES].sort().map((u) => JSON.stringify(u)).join(', ')}` })
    if (seen.has(usage)) out.push({ type: 'FieldValueDuplicate', field: `spec.usages[${i}]`, message: `Duplicate value: ${JSON.stringify(usage)}` })
    seen.add(usage)
  }
  if (signerName === LEGACY_SIGNER) out.push(invalid('spec.signerName', signerName, 'the legacy signerName is not allowed via this API version'))
  else out.push(...validateSignerName('spec.signerName', signerName))
  if (expirationSeconds !== undefined && expirationSeconds < EXPIRATION_SECONDS_MIN) out.push(invalid('spec.expirationSeconds', expirationSeconds, 'may not specify a duration less than 600 seconds (10 minutes)'))
  return [...out, ...validateConditions(csr)]
}

/** It is a request, and whoever made it holds its key. */
function requestProblem(request: string | undefined): string | undefined {
  const pem = Buffer.from(request ?? '', 'base64').toString('latin1')
  if (/-----BEGIN ([^-\n]*)-----/.exec(pem)?.[1] !== REQUEST_LABEL) return `PEM block type must be ${REQUEST_LABEL}`
  try {
    const { isSignatureValid, spki } = parseRequest(pem)
    return isSignatureValid ? undefined : VERIFICATION_FAILURES[publicKeyFromSpki(spki).asymmetricKeyType ?? ''] ?? 'x509: cannot verify signature: algorithm unimplemented'
  } catch (error) {
    return `x509: malformed certificate request: ${asError(error).message}`
  }
}

/** What was once decided, or failed, stays said. */
function keptConditions(csr: CertificateSigningRequest, old: CertificateSigningRequest): FieldError[] {
  return [...DECISIONS, 'Failed'].flatMap((type) => (ofType(csr, type).length < ofType(old, type).length ? [forbidden('status.conditions', `updates may not remove a condition of type ${JSON.stringify(type)}`)] : []))
}

/** Only `/approval` decides. */
function keptDecisions(csr: CertificateSigningRequest, old: CertificateSigningRequest): FieldError[] {
  return DECISIONS.flatMap((type) => (ofType(csr, type).length > ofType(old, type).length ? [forbidden('status.conditions', `updates may not add a condition of type ${JSON.stringify(type)}`)] : []))
}

/** Of a write to /approval. */
export const approvalProblems = (csr: CertificateSigningRequest, old: CertificateSigningRequest): FieldError[] => [...validateConditions(csr), ...keptConditions(csr, old)]

const PEM_BLOCK = /-----BEGIN ([^-]+)-----([\s\S]*?)-----END \1-----/g

function validateCertificate(data: string | undefined): FieldError[] {
  if (!data) return []
  const bad = (detail: string): FieldError[] => [invalid('status.certificate', '<certificate data>', detail)]
  const blocks = [...Buffer.from(data, 'base64').toString('latin1').matchAll(PEM_BLOCK)]
  for (const [whole, type = '', body = ''] of blocks) {
    if (type !== 'CERTIFICATE') return bad(`only CERTIFICATE PEM blocks are allowed, found ${JSON.stringify(type)}`)
    if (body.includes(':')) return bad('no PEM block headers are permitted')
    try { new X509Certificate(whole) } catch { return bad('x509: malformed certificate') }
  }
  return blocks.length === 0 ? bad('must contain at least one CERTIFICATE PEM block') : []
}

function validateConditions(csr: CertificateSigningRequest): FieldError[] {
  const out: FieldError[] = []
  const types = new Set<string>()
  for (const [i, c] of (csr.status?.conditions ?? []).entries()) {
    const at = `status.conditions[${i}]`
    if (!c.type) out.push(required(`${at}.type`))
    if (!c.status) out.push(required(`${at}.status`))
    else out.push(...oneOf(`${at}.status`, c.status, ['Approved', 'Denied', 'Failed'].includes(c.type) ? ['True'] : ['False', 'True', 'Unknown']))
    if ((c.type === 'Approved' && types.has('Denied')) || (c.type === 'Denied' && types.has('Approved'))) out.push(invalid('status.conditions', c.type, 'Approved and Denied conditions are mutually exclusive'))
    if (types.has(c.type)) out.push({ type: 'FieldValueDuplicate', field: `${at}.type`, message: `Duplicate value: ${JSON.stringify(c.type)}` })
    types.add(c.type)
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
