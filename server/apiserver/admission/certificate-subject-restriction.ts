/** Nobody gets a certificate of the group that RBAC does not bind. */
import type { CertificateSigningRequest } from '#api/types/index.ts'
import { parseRequest } from '#base/x509/index.ts'
import { CodedError } from '#base/errors.ts'
import type { AdmissionPlugin } from '../admission.ts'
import { isFor, refuse } from './refuse.ts'

const SIGNER = 'kubernetes.io/kube-apiserver-client'
const MASTERS = 'system:masters'

export const certificateSubjectRestriction: AdmissionPlugin = {
  name: 'CertificateSubjectRestriction',
  validate(request) {
    if (!isFor(request, 'certificates.k8s.io', 'certificatesigningrequests') || request.subresource !== '' || request.operation !== 'CREATE') return Promise.resolve(undefined)
    const { signerName, request: pem } = (request.object as CertificateSigningRequest).spec
    if (signerName !== SIGNER) return Promise.resolve(undefined)
    const groups = organizationsOf(pem)
    if (groups === undefined) return Promise.resolve(refuse('failed to parse CSR: the request is not a valid PKCS#10 certificate request'))
    return Promise.resolve(groups.includes(MASTERS) ? refuse(`use of ${SIGNER} signer with ${MASTERS} group is not allowed`) : undefined)
  },
}

function organizationsOf(base64: string): readonly string[] | undefined {
  try {
    return parseRequest(Buffer.from(base64, 'base64').toString('latin1')).subject.organizations
  } catch (error) {
    if (error instanceof CodedError) return undefined
    throw error
  }
}
