/** Which certificate a client is shown, by the name it asks for (SNI): the cluster's own, or one of the owner's files. Pure. */
import { X509Certificate } from 'node:crypto'

/** PEM. */
export interface CertificatePair { readonly cert: string; readonly key: string }

/** `--tls-sni-cert-key` */
export interface NamedPair extends CertificatePair {
  /** Names, perhaps with a `*` for their first part; none: those in the certificate. */
  readonly names: readonly string[]
}

export interface OwnersCertificates {
  /** `--tls-cert-file` */
  readonly fallback: CertificatePair | undefined
  readonly named: readonly NamedPair[]
}

/** A pair, or undefined for the cluster's own. The same object for the same pair. */
export type ChooseCertificate = (serverName: string) => CertificatePair | undefined

/**
 * Names that pods, nodes and other servers use (`reserved`) stay the cluster's own: they believe no other authority. Named
 * pairs come next, a whole name before a `*`, a name that was given before one in a certificate, the first before the
 * others; then the fallback, but for names that only the cluster's own certificate (`own`, PEM) has.
 */
export function certificateChoice(own: string, reserved: ReadonlySet<string>, { fallback, named }: OwnersCertificates): ChooseCertificate {
  const [ofCluster, ofFallback] = [new X509Certificate(own), fallback && new X509Certificate(fallback.cert)]
  const pairs = named.map((pair) => ({ pair, given: new Set(pair.names.map((name) => name.toLowerCase())), certificate: pair.names.length === 0 ? new X509Certificate(pair.cert) : undefined }))
  return (serverName) => {
    const name = serverName.toLowerCase()
    if (reserved.has(name)) return undefined
    for (const pattern of [name, name.replace(/^[^.]*/, '*')]) {
      const found = pairs.find(({ given }) => given.has(pattern)) ?? pairs.find(({ certificate }) => isOf(certificate, name, pattern))
      if (found) return found.pair
    }
    return ofFallback && !covers(ofFallback, name) && covers(ofCluster, name) ? undefined : fallback
  }
}

/** Whether the certificate has the name just as the pattern says it. */
function isOf(certificate: X509Certificate | undefined, name: string, pattern: string): boolean {
  return certificate?.checkHost(name, { subject: 'always' })?.toLowerCase() === pattern
}

const covers = (certificate: X509Certificate, name: string): boolean => certificate.checkHost(name) !== undefined
