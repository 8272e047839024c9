/**
 * Upstream's CertificateApproval, CertificateSigning and CertificateSubjectRestriction: approving and signing need
 * the verb `approve` or `sign` on the signer, and nobody gets a client certificate for system:masters by request.
 */
import type { CertificateSigningRequest, UserInfo } from '#api/types/index.ts'
import { hasCode } from '#base/errors.ts'
import { parseRequest } from '#base/x509/index.ts'
import type { AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import type { Authorizer } from '../auth.ts'

const GROUP = 'certificates.k8s.io'
const KUBE_APISERVER_CLIENT = 'kubernetes.io/kube-apiserver-client'

/** `authorizer` is the whole union. */
export function createCertificatePlugins(authorizer: Authorizer): AdmissionPlugin[] {
  return [
    {
      name: 'CertificateApproval',
      async validate(request) {
        if (!isCsr(request) || request.subresource !== 'approval' || request.operation !== 'UPDATE') return undefined
        const signer = (request.old as CertificateSigningRequest | undefined)?.spec.signerName ?? ''
        return (await maySigner(authorizer, request.user, 'approve', signer)) ? undefined : refusal(request, `user not permitted to approve requests with signerName ${JSON.stringify(signer)}`)
      },
    },
    {
      name: 'CertificateSigning',
      async validate(request) {
        if (!isCsr(request) || request.subresource !== 'status' || request.operation !== 'UPDATE') return undefined
        const old = request.old as CertificateSigningRequest | undefined
        const now = request.object as CertificateSigningRequest | undefined
        const signer = old?.spec.signerName ?? ''
        const changed = JSON.stringify(old?.status ?? {}) !== JSON.stringify(now?.status ?? {})
        return !changed || (await maySigner(authorizer, request.user, 'sign', signer)) ? undefined : refusal(request, `user not permitted to sign requests with signerName ${JSON.stringify(signer)}`)
      },
    },
    {
      name: 'CertificateSubjectRestriction',
      validate(request) {
        if (!isCsr(request) || request.subresource !== '' || request.operation !== 'CREATE') return Promise.resolve(undefined)
        const { spec } = request.object as CertificateSigningRequest
        const groups = spec?.signerName === KUBE_APISERVER_CLIENT ? organizationsOf(spec.request) : []
        return Promise.resolve(groups.includes('system:masters') ? refusal(request, 'use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed') : undefined)
      },
    },
  ]
}

const isCsr = ({ ref }: AdmissionRequest): boolean => ref.group === GROUP && ref.resource === 'certificatesigningrequests'

/** On the signer itself, or on all of its domain (`kubernetes.io/*`). */
async function maySigner(authorizer: Authorizer, user: UserInfo, verb: 'approve' | 'sign', signerName: string): Promise<boolean> {
  const ask = async (name: string) => (await authorizer.authorize({ user, verb, resource: { group: GROUP, version: 'v1', resource: 'signers', subresource: '', namespace: '', name } })).allowed
  return (await ask(signerName)) || ask(`${signerName.split('/')[0]}/*`)
}

/** None when it cannot be read: validation refuses that. */
function organizationsOf(request: string): readonly string[] {
  try {
    return parseRequest(Buffer.from(request, 'base64').toString('utf8')).subject.organizations
  } catch (error) {
    if (!hasCode(error, 'X509_MALFORMED')) throw error
    return []
  }
}

function refusal(request: AdmissionRequest, why: string): Refusal {
  return { code: 403, reason: 'Forbidden', message: `certificatesigningrequests.${GROUP} ${JSON.stringify(request.name)} is forbidden: ${why}` }
}
