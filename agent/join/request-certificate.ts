/** Asks the API for a certificate by CertificateSigningRequest and waits until it is issued. */
import { createHash } from 'node:crypto'
import type { Client } from '#api/client/client.ts'
import { isReason } from '#api/client/client.ts'
import { CERTIFICATE_SIGNING_REQUESTS, type CertificateSigningRequest, type Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { CodedError } from '#base/errors.ts'
import { NO_ALT_NAMES, createRequest, generateKey, spkiOf, type AltNames, type KeyObject } from '#base/x509/index.ts'

export const NODE_PASSWORD_ANNOTATION = 'skiff.io/node-password'

export interface Wanted {
  which: 'client' | 'serving'
  nodeName: string
  altNames?: AltNames
  /** Goes with the first request of a node; the server keeps only its hash. */
  password?: string
}

const SIGNERS = { client: 'kubernetes.io/kube-apiserver-client-kubelet', serving: 'kubernetes.io/kubelet-serving' } as const
const USAGES = { client: ['digital signature', 'client auth'], serving: ['digital signature', 'server auth'] } as const

/** A year: the most our signer gives. */
export const LIFE_SECONDS = 365 * 24 * 3600
/** After that the request is given up and made anew (upstream's kubelet: 15 minutes). */
const ISSUE_MS_MAX = 15 * 60_000
/** One watch; after it the object is read again, so that a lost event costs no more than that. */
const WATCH_SECONDS = 30

/** Rejects with an ApiError, `CSR_DENIED` or `CSR_TIMEOUT`. */
export async function requestCertificate(client: Client, wanted: Wanted, clock: Clock, signal: AbortSignal): Promise<{ key: KeyObject; certPem: string }> {
  const key = await generateKey()
  const subject = { commonName: `system:node:${wanted.nodeName}`, organizations: ['system:nodes'] }
  const created = await client.create<CertificateSigningRequest>(CERTIFICATE_SIGNING_REQUESTS, {
    apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest',
    metadata: {
      // Of the key, as the kubelet's: the same key never asks twice.
      name: `node-csr-${createHash('sha256').update(spkiOf(key)).digest('hex').slice(0, 40)}`,
      ...(wanted.password !== undefined && { annotations: { [NODE_PASSWORD_ANNOTATION]: wanted.password } }),
    },
    spec: {
      request: Buffer.from(createRequest(subject, wanted.altNames ?? NO_ALT_NAMES, key)).toString('base64'),
      signerName: SIGNERS[wanted.which], usages: [...USAGES[wanted.which]], expirationSeconds: LIFE_SECONDS,
    },
  }, { signal })
  return { key, certPem: await waitForIssue(client, created, clock, signal) }
}

async function waitForIssue(client: Client, created: Stored<CertificateSigningRequest>, clock: Clock, signal: AbortSignal): Promise<string> {
  const { name } = created.metadata
  const deadlineMs = clock.monotonicMs() + ISSUE_MS_MAX
  for (let current = created; ; current = await client.get<CertificateSigningRequest>(CERTIFICATE_SIGNING_REQUESTS, name, undefined, signal)) {
    const done = issued(current) ?? await watchUntilIssued(client, current, signal)
    if (done !== undefined) return done
    signal.throwIfAborted()
    if (clock.monotonicMs() >= deadlineMs) throw new CodedError('CSR_TIMEOUT', `the certificate request ${name} was not answered within ${ISSUE_MS_MAX / 60_000} minutes: see kubectl get csr ${name}`)
  }
}

async function watchUntilIssued(client: Client, current: Stored<CertificateSigningRequest>, signal: AbortSignal): Promise<string | undefined> {
  const { name, resourceVersion } = current.metadata
  try {
    for await (const event of client.watch<CertificateSigningRequest>(CERTIFICATE_SIGNING_REQUESTS, { fieldSelector: `metadata.name=${name}`, resourceVersion, timeoutSeconds: WATCH_SECONDS }, signal)) {
      if (event.type === 'DELETED') throw new CodedError('CSR_DENIED', `the certificate request ${name} was deleted before it was answered`)
      if (event.type !== 'ADDED' && event.type !== 'MODIFIED') return undefined
      const done = issued(event.object)
      if (done !== undefined) return done
    }
  } catch (error) {
    // The history is gone: what is there now is read instead.
    if (!isReason(error, 'Expired', 'Gone')) throw error
  }
  return undefined
}

/** The PEM; undefined: not yet. Throws `CSR_DENIED`. */
function issued(csr: CertificateSigningRequest): string | undefined {
  const refusal = csr.status?.conditions?.find((c) => c.type === 'Denied' || c.type === 'Failed')
  if (refusal) throw new CodedError('CSR_DENIED', `the certificate request ${csr.metadata?.name} was refused: ${refusal.message ?? refusal.reason ?? refusal.type}`)
  return csr.status?.certificate ? Buffer.from(csr.status.certificate, 'base64').toString('utf8') : undefined
}
