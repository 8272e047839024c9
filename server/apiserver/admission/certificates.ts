/**
 * CertificateApproval, CertificateSigning and ClusterTrustBundleAttest: who approves, signs or vouches for a signer needs
 * that verb on the signer itself, or on all of its domain (`kubernetes.io/*`).
 */
import type { CertificateSigningRequest, KubeObject, UserInfo } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import type { Authorizer } from '../auth.ts'
import { semanticEqual } from '../kinds/semantic-equal.ts'
import { isFor, refuse } from './refuse.ts'

const GROUP = 'certificates.k8s.io'

const isCsrUpdate = (request: AdmissionRequest, subresource: string): boolean => isFor(request, GROUP, 'certificatesigningrequests') && request.subresource === subresource && request.operation === 'UPDATE'

export const certificateApproval: AdmissionPlugin = {
  name: 'CertificateApproval',
  validate(request, api) {
    return isCsrUpdate(request, 'approval') ? approves(request, api) : undefined
  },
}

async function approves(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const signer = (request.old as CertificateSigningRequest).spec.signerName
  return (await maySigner(api.authorizer, request.user, 'approve', signer)) ? undefined : refuse(`user not permitted to approve requests with signerName ${JSON.stringify(signer)}`)
}

export const certificateSigning: AdmissionPlugin = {
  name: 'CertificateSigning',
  validate(request, api) {
    return isCsrUpdate(request, 'status') ? signs(request, api) : undefined
  },
}

async function signs(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const [csr, old] = [request.object as CertificateSigningRequest, request.old as CertificateSigningRequest]
  if (csr.status?.certificate === old.status?.certificate && semanticEqual(csr.status?.conditions, old.status?.conditions)) return undefined
  const signer = old.spec.signerName
  return (await maySigner(api.authorizer, request.user, 'sign', signer)) ? undefined : refuse(`user not permitted to sign requests with signerName ${JSON.stringify(signer)}`)
}

type TrustBundle = KubeObject & { spec?: { signerName?: string; trustBundle?: string } }

export const clusterTrustBundleAttest: AdmissionPlugin = {
  name: 'ClusterTrustBundleAttest',
  validate(request, api) {
    return !isFor(request, GROUP, 'clustertrustbundles') || request.subresource !== '' || (request.operation !== 'CREATE' && request.operation !== 'UPDATE') ? undefined : attests(request, api)
  },
}

async function attests(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const [bundle, old] = [request.object as TrustBundle, request.old as TrustBundle | undefined]
  const signer = bundle.spec?.signerName ?? ''
  if (old && (old.spec?.signerName ?? '') !== signer) return refuse('changing signerName is forbidden')
  // The garbage collector and others who change only what is said of the bundle vouch for nothing.
  if (signer === '' || (old && semanticEqual(bundle.spec, old.spec) && semanticEqual(bundle.metadata?.labels, old.metadata?.labels) && semanticEqual(bundle.metadata?.annotations, old.metadata?.annotations))) return undefined
  return (await maySigner(api.authorizer, request.user, 'attest', signer)) ? undefined : refuse(`user not permitted to attest for signerName ${JSON.stringify(signer)}`)
}

async function maySigner(authorizer: Authorizer, user: UserInfo, verb: 'approve' | 'sign' | 'attest', signerName: string): Promise<boolean> {
  const ask = async (name: string) => (await authorizer.authorize({ user, verb, resource: { group: GROUP, version: 'v1', resource: 'signers', subresource: '', namespace: '', name } })).allowed
  return (await ask(signerName)) || ask(`${signerName.split('/')[0] ?? ''}/*`)
}
