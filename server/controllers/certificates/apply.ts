/** The effects of decisions on certificate requests. Signing is here: keys are nothing a decision should hold. */
import type { Client } from '#api/client/client.ts'
import { CERTIFICATE_SIGNING_REQUESTS, type CertificateSigningRequestCondition } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import type { Random } from '#base/random.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { certificatePem, createCertificate, type Issuer } from '#base/x509/index.ts'
import { unlessGone } from '../controller.ts'
import type { CertificateAction, CertificateView } from './decide.ts'
import { KUBELET_SERVING, KUBE_APISERVER_CLIENT, parseUsages } from './signers.ts'

/** What signs client certificates, and kubelets' serving certificates. The second must not be one that clients of the API trust. */
export interface SigningAuthorities { client: Issuer; kubeletServing: Issuer }

/** As upstream: clocks of people's machines may lag so far. */
const BACKDATE_MS = 5 * 60_000
/** Below this life the end is not brought forward by the back-dating (upstream). */
const SHORT_LIFE_MS = 8 * 3_600_000

export interface CertificateApplyDeps { client: Client; clock: Clock; random: Random; authorities: SigningAuthorities }

export function certificateEffects({ csr }: CertificateView, { client, clock, random, authorities }: CertificateApplyDeps): Effects<CertificateAction> {
  // resourceVersion is the guard: what somebody else decided meanwhile is a conflict, never overwritten.
  const write = async (subresource: 'approval' | 'status', status: object, signal: AbortSignal) => {
    await client.update(CERTIFICATE_SIGNING_REQUESTS, { ...csr, status: { ...csr.status, ...status } }, { subresource, signal })
  }
  const withCondition = (condition: CertificateSigningRequestCondition) => ({ conditions: [...(csr.status?.conditions ?? []), condition] })
  return {
    approve: ({ condition }, signal) => write('approval', withCondition(condition), signal),
    fail: ({ condition }, signal) => write('status', withCondition(condition), signal),
    async sign(action, signal) {
      const pem = certificatePem(issue(action, clock.nowMs(), random, authorities))
      await write('status', { certificate: Buffer.from(pem).toString('base64') }, signal)
    },
    async delete(_, signal) {
      await unlessGone(client.delete(CERTIFICATE_SIGNING_REQUESTS, csr.metadata.name, undefined, { preconditions: { uid: csr.metadata.uid }, signal }))
    },
  }
}

/** DER. */
export function issue(action: Extract<CertificateAction, { kind: 'sign' }>, nowMs: number, random: Random, authorities: SigningAuthorities): Buffer {
  const authority = action.signerName === KUBELET_SERVING ? authorities.kubeletServing : authorities.client
  const ca = authority.certificate
  const lifeMs = action.lifeSeconds * 1000
  // Nodes may have no clock battery: theirs are valid from the CA's beginning. People's are as upstream's.
  const isForNode = action.signerName !== KUBE_APISERVER_CLIENT
  const notBeforeMs = isForNode ? ca.notBeforeMs : Math.max(ca.notBeforeMs, nowMs - BACKDATE_MS)
  const endMs = isForNode || lifeMs < SHORT_LIFE_MS ? nowMs + lifeMs : nowMs + lifeMs - BACKDATE_MS
  return createCertificate({
    subject: action.request.subject, altNames: action.request.altNames,
    notBeforeMs, notAfterMs: Math.min(endMs, ca.notAfterMs), ...parseUsages(action.usages),
  }, { spki: action.request.spki }, authority, random)
}
