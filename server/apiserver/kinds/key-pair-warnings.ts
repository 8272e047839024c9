/** What is wrong with a certificate and its key that go together, as Go's tls.X509KeyPair says it. */
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'

interface PemBlock { label: string; text: string }

/** Both base64 of PEM. */
export function keyPairWarnings(certificate: string | undefined, key: string | undefined): string[] {
  const problem = problemOf(pemBlocks(certificate), pemBlocks(key))
  return problem === undefined ? [] : [problem]
}

function problemOf(certificates: readonly PemBlock[], keys: readonly PemBlock[]): string | undefined {
  const chain = certificates.filter(({ label }) => label === 'CERTIFICATE')
  const leaf = chain[0]
  if (!leaf) {
    if (certificates.length === 0) return 'tls: failed to find any PEM data in certificate input'
    if (certificates.length === 1 && certificates[0]?.label.endsWith('PRIVATE KEY')) return 'tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched'
    return `tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: [${certificates.map(({ label }) => label).join(' ')}]`
  }
  const index = keys.findIndex(({ label }) => label === 'PRIVATE KEY' || label.endsWith(' PRIVATE KEY'))
  const found = keys[index]
  if (!found) {
    if (keys.length === 0) return 'tls: failed to find any PEM data in key input'
    if (keys.length === 1 && keys[0]?.label === 'CERTIFICATE') return 'tls: found a certificate rather than a key in the PEM for the private key'
    return `tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: [${keys.map(({ label }) => label).join(' ')}]`
  }
  const certified = attempt(() => new X509Certificate(leaf.text).publicKey)
  if (!certified) return 'x509: malformed certificate'
  const own = attempt(() => createPublicKey(createPrivateKey(found.text)))
  if (!own) return 'tls: failed to parse private key'
  if (own.asymmetricKeyType !== certified.asymmetricKeyType) return 'tls: private key type does not match public key type'
  return own.equals(certified) ? undefined : 'tls: private key does not match public key'
}

/** Neither who reads it nor the log learns what is in it. */
function attempt(read: () => KeyObject): KeyObject | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

const BEGIN = '-----BEGIN '
const DASHES = '-----'

/** What stands around the blocks is passed over. */
function pemBlocks(base64: string | undefined): PemBlock[] {
  const text = Buffer.from(base64 ?? '', 'base64').toString('latin1')
  const out: PemBlock[] = []
  for (let at = text.indexOf(BEGIN); at >= 0;) {
    const labelEnd = text.indexOf(DASHES, at + BEGIN.length)
    if (labelEnd < 0) return out
    const label = text.slice(at + BEGIN.length, labelEnd)
    const end = label.includes('\n') ? -1 : text.indexOf(`-----END ${label}-----`, labelEnd)
    // Without an end there is no other block of that label either.
    if (end >= 0) out.push({ label, text: text.slice(at, end + `-----END ${label}-----`.length) })
    at = text.indexOf(BEGIN, end >= 0 ? end : labelEnd)
  }
  return out
}
