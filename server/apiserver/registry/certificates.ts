/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { certificateSigningRequestStrategy } from '../kinds/certificate-signing-request.ts'
import { row } from './row.ts'

export const certificatesRows: readonly KindRow[] = [
  row(R.CERTIFICATE_SIGNING_REQUESTS, certificateSigningRequestStrategy, { short: ['csr'], sub: ['approval', 'status'] }),
]
