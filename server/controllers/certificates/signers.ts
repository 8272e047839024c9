/** The three signers skiff runs, and what each accepts: rules and messages of upstream's pkg/apis/certificates and signer. Pure. */
import type { CertificateRequest, ExtendedKeyUsage, KeyUsage } from '#base/x509/index.ts'

export const KUBE_APISERVER_CLIENT = 'kubernetes.io/kube-apiserver-client'
export const KUBELET_CLIENT = 'kubernetes.io/kube-apiserver-client-kubelet'
export const KUBELET_SERVING = 'kubernetes.io/kubelet-serving'

export const NODE_USER_PREFIX = 'system:node:'
export const NODES_GROUP = 'system:nodes'

/** The API's words for usages; what is not a key usage is an extended one. */
const KEY_USAGES: Readonly<Record<string, KeyUsage>> = {
  'signing': 'digitalSignature', 'digital signature': 'digitalSignature', 'content commitment': 'contentCommitment', 'key encipherment': 'keyEncipherment', 'key agreement': 'keyAgreement',
  'data encipherment': 'dataEncipherment', 'cert sign': 'certSign', 'crl sign': 'crlSign', 'encipher only': 'encipherOnly', 'decipher only': 'decipherOnly',
}
const EXTENDED_KEY_USAGES: Readonly<Record<string, ExtendedKeyUsage>> = {
  'any': 'any', 'server auth': 'serverAuth', 'client auth': 'clientAuth', 'code signing': 'codeSigning', 'email protection': 'emailProtection', 's/mime': 'emailProtection',
  'ipsec end system': 'ipsecEndSystem', 'ipsec tunnel': 'ipsecTunnel', 'ipsec user': 'ipsecUser', 'timestamping': 'timestamping', 'ocsp signing': 'ocspSigning', 'microsoft sgc': 'microsoftSgc', 'netscape sgc': 'netscapeSgc',
}

export function parseUsages(usages: readonly string[]): { keyUsages: KeyUsage[]; extendedKeyUsages: ExtendedKeyUsage[] } {
  return {
    keyUsages: [...new Set(usages.flatMap((u) => KEY_USAGES[u] ?? []))],
    extendedKeyUsages: [...new Set(usages.flatMap((u) => EXTENDED_KEY_USAGES[u] ?? []))],
  }
}

/** Why this signer must not sign, in upstream's words; undefined when it may. */
export function signerProblem(signerName: string, request: CertificateRequest, usages: readonly string[]): string | undefined {
  if (!request.isSignatureValid) return 'the signature of the certificate request is not valid'
  switch (signerName) {
    case KUBE_APISERVER_CLIENT: return apiServerClientProblem(usages)
    case KUBELET_CLIENT: return kubeletClientProblem(request, usages)
    case KUBELET_SERVING: return kubeletServingProblem(request, usages)
    default: return `unrecognized signerName: ${JSON.stringify(signerName)}`
  }
}

function apiServerClientProblem(usages: readonly string[]): string | undefined {
  const other = usages.find((u) => !['digital signature', 'key encipherment', 'client auth'].includes(u))
  if (other !== undefined) return `invalid usage for client certificate: ${other}`
  return usages.includes('client auth') ? undefined : 'missing required usage for client certificate: client auth'
}

function kubeletClientProblem({ subject, altNames }: CertificateRequest, usages: readonly string[]): string | undefined {
  if (!isNodesOnly(subject.organizations)) return 'subject organization is not system:nodes'
  if (altNames.dnsNames.length > 0) return 'DNS subjectAltNames are not allowed'
  if (altNames.emails.length > 0) return 'Email subjectAltNames are not allowed'
  if (altNames.ipAddresses.length > 0) return 'IP subjectAltNames are not allowed'
  if (altNames.uris.length > 0) return 'URI subjectAltNames are not allowed'
  if (!subject.commonName.startsWith(NODE_USER_PREFIX)) return 'subject common name does not begin with system:node:'
  return usagesProblem(usages, 'client auth')
}

function kubeletServingProblem({ subject, altNames }: CertificateRequest, usages: readonly string[]): string | undefined {
  if (!isNodesOnly(subject.organizations)) return 'subject organization is not system:nodes'
  if (altNames.dnsNames.length === 0 && altNames.ipAddresses.length === 0) return 'DNS or IP subjectAltName is required'
  if (altNames.emails.length > 0) return 'Email subjectAltNames are not allowed'
  if (altNames.uris.length > 0) return 'URI subjectAltNames are not allowed'
  return usagesProblem(usages, 'server auth') ?? (subject.commonName.startsWith(NODE_USER_PREFIX) ? undefined : 'subject common name does not begin with system:node:')
}

const isNodesOnly = (organizations: readonly string[]): boolean => organizations.length === 1 && organizations[0] === NODES_GROUP

/** Key encipherment is asked for with RSA keys only. */
function usagesProblem(usages: readonly string[], auth: string): string | undefined {
  const given = new Set(usages)
  const isExactly = (...wanted: string[]) => given.size === wanted.length && wanted.every((w) => given.has(w))
  return isExactly('digital signature', auth) || isExactly('digital signature', 'key encipherment', auth) ? undefined : `usages did not match [${auth} digital signature key encipherment]`
}
