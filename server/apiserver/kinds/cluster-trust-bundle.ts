/** ClusterTrustBundle: X.509 trust anchors for whoever mounts them (KEP-3257). */
import { X509Certificate } from 'node:crypto'
import type { V1beta1ClusterTrustBundle as ClusterTrustBundle } from '#api/types/index.ts'
import { checkDnsSubdomain } from '#api/types/index.ts'
import { type FieldError, invalid, tooLong } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { immutable } from './check.ts'
import { column, nameColumn } from './table-columns.ts'
import { validateSignerName } from './signer-name.ts'

const BUNDLE_BYTES_MAX = 1024 * 1024

export const clusterTrustBundleStrategy: KindStrategy<ClusterTrustBundle> = {
  requiresRevision: true,
  nameRule: 'path-segment',
  generation: false,
  validate: validateBundle,
  validateUpdate: (bundle, old) => [...validateBundle(bundle), ...immutable('spec.signerName', bundle.spec?.signerName ?? '', old.spec?.signerName ?? '')],
  columns: [nameColumn(), column('SignerName', 'signerName indicates the associated signer, if any.', (o) => o.spec?.signerName || '<none>')],
  selectableFields: { 'spec.signerName': (o) => o.spec?.signerName ?? '' },
}

function validateBundle(bundle: ClusterTrustBundle): FieldError[] {
  const name = bundle.metadata?.name ?? ''
  const signer = bundle.spec?.signerName ?? ''
  return [
    ...(name === '' ? [] : checkTrustBundleName(name, signer).map((m) => invalid('metadata.name', name, m))),
    ...(signer === '' ? [] : validateSignerName('spec.signerName', signer)),
    ...validateAnchors('spec.trustBundle', bundle.spec?.trustBundle ?? ''),
  ]
}

/** What is wrong with a bundle's name; `signer` is '' for one without. */
export function checkTrustBundleName(name: string, signer: string): string[] {
  if (signer === '') return name.includes(':') ? ['ClusterTrustBundle without signer name must not have ":" in its name'] : checkDnsSubdomain(name)
  const prefix = `${signer.replaceAll('/', ':')}:`
  if (!name.startsWith(prefix)) return [`ClusterTrustBundle for signerName ${signer} must be named with prefix ${prefix}`]
  return checkDnsSubdomain(name.slice(prefix.length))
}

const BLOCK = /-----BEGIN ([^-\n]*)-----\n([\s\S]*?)-----END \1-----/g

function validateAnchors(at: string, text: string): FieldError[] {
  if (Buffer.byteLength(text) > BUNDLE_BYTES_MAX) return [tooLong(at, BUNDLE_BYTES_MAX)]
  const bad = (message: string): FieldError => invalid(at, '<value omitted>', message)
  const out: FieldError[] = []
  const indices = new Map<string, number[]>()
  for (const [i, [, type = '', body = '']] of [...text.matchAll(BLOCK)].entries()) {
    const problem = anchorProblem(type, body)
    if (problem) out.push(bad(`entry ${i} ${problem}`))
    const der = body.replaceAll(/\s/g, '')
    indices.set(der, [...(indices.get(der) ?? []), i])
  }
  if (out.length > 0) return out
  if (indices.size === 0) return [bad('at least one trust anchor must be provided')]
  return [...indices.values()].filter((list) => list.length > 1).map((list) => bad(`duplicate trust anchor (indices [${list.join(' ')}])`))
}

function anchorProblem(type: string, body: string): string | undefined {
  if (type !== 'CERTIFICATE') return `has bad block type: ${type}`
  if (body.includes(':')) return 'has PEM block headers'
  try {
    return new X509Certificate(Buffer.from(body, 'base64')).ca ? undefined : 'does not have the CA bit set'
  } catch (error) {
    return `does not parse as X.509: ${error instanceof Error ? error.message : String(error)}`
  }
}
