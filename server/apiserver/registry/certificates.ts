/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { certificateSigningRequestStrategy } from '../kinds/certificate-signing-request.ts'
import { clusterTrustBundleStrategy } from '../kinds/cluster-trust-bundle.ts'
import { podCertificateRequestStrategy } from '../kinds/pod-certificate-request.ts'
import { refsOf, row, sameShape } from './row.ts'

const v1beta1 = refsOf('certificates.k8s.io', 'v1beta1')
const bundles = row(v1beta1('clustertrustbundles', 'ClusterTrustBundle', false), clusterTrustBundleStrategy, { model: 'V1beta1ClusterTrustBundle' })

export const certificatesRows: readonly KindRow[] = [
  row(R.CERTIFICATE_SIGNING_REQUESTS, certificateSigningRequestStrategy, { short: ['csr'], sub: ['approval', 'status'] }),
  bundles,
  row(v1beta1('podcertificaterequests', 'PodCertificateRequest'), podCertificateRequestStrategy, { model: 'V1beta1PodCertificateRequest', sub: ['status'] }),
  ...sameShape(bundles, ['v1alpha1'], { v1alpha1: { since: 34, gone: 37 } }),
]
