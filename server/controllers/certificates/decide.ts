/**
 * One CertificateSigningRequest at a time: approve it (a node's own certificates), sign it once approved, remove it
 * when nobody needs it any more. Approval of anything else is a person's, by `kubectl certificate approve`. Pure.
 */
import type { CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestStatus, Node, Stored } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'
import { ipBytes, ipText, type CertificateRequest } from '#base/x509/index.ts'
import { isIP } from 'node:net'
import { formatTime, parseTime } from '../time.ts'
import { KUBELET_CLIENT, KUBELET_SERVING, KUBE_APISERVER_CLIENT, NODES_GROUP, NODE_USER_PREFIX, signerProblem } from './signers.ts'

export interface CertificateView {
  csr: Stored<CertificateSigningRequest>
  /** Undefined: spec.request cannot be read. */
  request: CertificateRequest | undefined
  /** What SubjectAccessReviews said of the requester; undefined: not asked, because it does not matter. */
  mayRequest: { nodeclient: boolean; selfnodeclient: boolean } | undefined
  /** The requesting node's object, for serving certificates. */
  node: Node | undefined
  /** When the issued certificate ends; undefined: none or not readable. */
  issuedUntilMs: number | undefined
}

export type CertificateAction =
  | { kind: 'approve'; condition: CertificateSigningRequestCondition }
  | { kind: 'fail'; condition: CertificateSigningRequestCondition }
  | { kind: 'sign'; signerName: string; request: CertificateRequest; usages: readonly string[]; lifeSeconds: number }
  | { kind: 'delete'; because: string }

const HOUR_MS = 3_600_000
/** Upstream's cleaner: answered requests stay an hour, unanswered ones a day. */
const ANSWERED_MS_MAX = HOUR_MS
const PENDING_MS_MAX = 24 * HOUR_MS
/** A year: what is signed is never longer. */
export const LIFE_SECONDS_MAX = 365 * 24 * 3600
/** Upstream's lower bound: twice the back-dating. */
export const LIFE_SECONDS_MIN = 600

const SIGNERS: readonly string[] = [KUBE_APISERVER_CLIENT, KUBELET_CLIENT, KUBELET_SERVING]

export function decideCertificate(view: CertificateView, ctx: DecideContext): Decision<CertificateAction> {
  const { csr } = view
  if (csr.metadata.deletionTimestamp !== undefined) return nothing('it is being deleted')
  const end = cleanupTime(view)
  if (end && ctx.nowMs >= end.atMs) return { actions: [{ kind: 'delete', because: end.because }], because: end.because }
  const next = answer(view, ctx.nowMs)
  return { ...next, ...(end && { wakeAtMs: end.atMs }) }
}

function answer(view: CertificateView, nowMs: number): Decision<CertificateAction> {
  const { csr, request } = view
  const { status, spec } = csr
  if (!SIGNERS.includes(spec.signerName)) return nothing('another signer answers it')
  if (has(status, 'Denied')) return nothing('denied')
  if (has(status, 'Failed')) return nothing('failed')
  if (issued(status)) return nothing('issued')
  if (!request) return failed('the certificate request cannot be read', nowMs)
  const problem = signerProblem(spec.signerName, request, spec.usages ?? [])
  if (has(status, 'Approved')) {
    if (problem !== undefined) return failed(problem, nowMs)
    const lifeSeconds = Math.max(LIFE_SECONDS_MIN, Math.min(spec.expirationSeconds ?? LIFE_SECONDS_MAX, LIFE_SECONDS_MAX))
    return { actions: [{ kind: 'sign', signerName: spec.signerName, request, usages: spec.usages ?? [], lifeSeconds }], because: 'approved' }
  }
  if (problem !== undefined) return nothing(`not recognized: ${problem}`)
  return spec.signerName === KUBELET_CLIENT ? approveKubeletClient(view, request, nowMs) : spec.signerName === KUBELET_SERVING ? approveKubeletServing(view, request, nowMs) : nothing('waits for somebody to approve it')
}

/** Upstream's csrapproving: whoever may create `nodeclient` for any node, or `selfnodeclient` for itself. */
function approveKubeletClient({ csr, mayRequest }: CertificateView, request: CertificateRequest, nowMs: number): Decision<CertificateAction> {
  const isSelf = csr.spec.username === request.subject.commonName
  if (isSelf && mayRequest?.selfnodeclient) return approved('Auto approving self kubelet client certificate after SubjectAccessReview.', nowMs)
  if (mayRequest?.nodeclient) return approved('Auto approving kubelet client certificate after SubjectAccessReview.', nowMs)
  return nothing(`the subject access review of ${csr.spec.username ?? 'nobody'} was not approved`)
}

/** Upstream leaves these to people; skiff approves those that a node asks for itself and whose every name is an address of its Node object. */
function approveKubeletServing({ csr, node }: CertificateView, request: CertificateRequest, nowMs: number): Decision<CertificateAction> {
  const { commonName } = request.subject
  if (csr.spec.username !== commonName || !csr.spec.groups?.includes(NODES_GROUP)) return nothing('a serving certificate is approved for the node itself only')
  if (!node) return nothing('waits for the Node object')
  const addresses = node.status?.addresses ?? []
  const own = new Set([commonName.slice(NODE_USER_PREFIX.length), ...addresses.map((a) => (isIP(a.address) === 0 ? a.address : ipText(ipBytes(a.address))))])
  const foreign = [...request.altNames.dnsNames, ...request.altNames.ipAddresses].find((name) => !own.has(name))
  if (foreign !== undefined) return nothing(`waits: ${foreign} is not among the node's addresses`)
  return approved('Auto approving kubelet serving certificate: every name in it is an address of the node.', nowMs)
}

function approved(message: string, nowMs: number): Decision<CertificateAction> {
  return { actions: [{ kind: 'approve', condition: condition('Approved', 'AutoApproved', message, nowMs) }], because: message }
}

function failed(message: string, nowMs: number): Decision<CertificateAction> {
  return { actions: [{ kind: 'fail', condition: condition('Failed', 'SignerValidationFailure', message, nowMs) }], because: message }
}

function condition(type: string, reason: string, message: string, nowMs: number): CertificateSigningRequestCondition {
  const now = formatTime(nowMs)
  return { type, status: 'True', reason, message, lastUpdateTime: now, lastTransitionTime: now }
}

/** When it is to be removed, if ever. */
function cleanupTime({ csr, issuedUntilMs }: CertificateView): { atMs: number; because: string } | undefined {
  const { status } = csr
  const conditions = status?.conditions ?? []
  const times: { atMs: number; because: string }[] = []
  const after = (ms: number | undefined, wait: number, because: string) => { if (ms !== undefined) times.push({ atMs: ms + wait, because }) }
  if (conditions.length === 0 && !issued(status)) after(parseTime(csr.metadata.creationTimestamp), PENDING_MS_MAX, 'nobody answered it for a day')
  for (const c of conditions) {
    if (c.type === 'Denied' || c.type === 'Failed' || (c.type === 'Approved' && issued(status))) after(parseTime(c.lastUpdateTime), ANSWERED_MS_MAX, `${c.type.toLowerCase()} an hour ago`)
  }
  if (has(status, 'Approved')) after(issuedUntilMs, 1, 'its certificate has expired')
  return times.toSorted((a, b) => a.atMs - b.atMs)[0]
}

const issued = (status: CertificateSigningRequestStatus | undefined): boolean => status?.certificate !== undefined && status.certificate !== ''
const has = (status: CertificateSigningRequestStatus | undefined, type: string): boolean => status?.conditions?.some((c) => c.type === type && c.status !== 'False') ?? false
