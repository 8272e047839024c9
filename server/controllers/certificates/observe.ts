/** What is known of one request: the object, its contents, what the requester may do, the node behind it. */
import type { Client, Informer } from '#api/client/client.ts'
import type { CertificateSigningRequest, Node, ResourceRef, Stored, SubjectAccessReview } from '#api/types/index.ts'
import { hasCode } from '#base/errors.ts'
import { parseCertificatesPem, parseRequest } from '#base/x509/index.ts'
import type { CertificateView } from './decide.ts'
import { KUBELET_CLIENT, KUBELET_SERVING, NODE_USER_PREFIX } from './signers.ts'

const SUBJECT_ACCESS_REVIEWS: ResourceRef = { group: 'authorization.k8s.io', version: 'v1', resource: 'subjectaccessreviews', kind: 'SubjectAccessReview', namespaced: false }

export interface CertificateSources { client: Client; requests: Informer<CertificateSigningRequest>; nodes: Informer<Node> }

export async function observeCertificate(name: string, { client, requests, nodes }: CertificateSources, signal: AbortSignal): Promise<CertificateView | undefined> {
  const csr = requests.get(name)
  if (!csr) return undefined
  const request = unlessMalformed(() => parseRequest(decode(csr.spec.request)))
  const isPending = (csr.status?.conditions ?? []).length === 0 && !csr.status?.certificate
  const isNodeClient = csr.spec.signerName === KUBELET_CLIENT && request !== undefined && isPending
  const certificate = csr.status?.certificate
  return {
    csr, request,
    mayRequest: isNodeClient ? {
      nodeclient: await mayCreate(client, csr, 'nodeclient', signal),
      selfnodeclient: csr.spec.username === request.subject.commonName && await mayCreate(client, csr, 'selfnodeclient', signal),
    } : undefined,
    node: csr.spec.signerName === KUBELET_SERVING ? nodes.get(nodeOf(csr) ?? '') : undefined,
    issuedUntilMs: certificate ? unlessMalformed(() => parseCertificatesPem(decode(certificate)))?.[0]?.notAfterMs : undefined,
  }
}

/** The node that asks, by its user name. */
export function nodeOf(csr: CertificateSigningRequest): string | undefined {
  return csr.spec.username?.startsWith(NODE_USER_PREFIX) ? csr.spec.username.slice(NODE_USER_PREFIX.length) : undefined
}

async function mayCreate(client: Client, csr: Stored<CertificateSigningRequest>, subresource: string, signal: AbortSignal): Promise<boolean> {
  const { username, uid, groups, extra } = csr.spec
  const review = await client.create<SubjectAccessReview>(SUBJECT_ACCESS_REVIEWS, {
    apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview',
    spec: {
      ...(username !== undefined && { user: username }), ...(uid !== undefined && { uid }), ...(groups && { groups }), ...(extra && { extra }),
      resourceAttributes: { group: 'certificates.k8s.io', resource: 'certificatesigningrequests', subresource, verb: 'create' },
    },
  }, { signal })
  return review.status?.allowed === true
}

const decode = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8')

function unlessMalformed<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (!hasCode(error, 'X509_MALFORMED')) throw error
    return undefined
  }
}
