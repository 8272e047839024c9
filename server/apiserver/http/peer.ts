/** Who is at the other end of a TLS connection. */
import { X509Certificate } from 'node:crypto'
import type { DetailedPeerCertificate, PeerCertificate as TlsCertificate, TLSSocket } from 'node:tls'
import { parsePem } from '#base/x509/index.ts'
import type { Peer } from '../middleware/authenticate.ts'

/** A certificate that the client CA does not vouch for is as good as a wrong password; none at all is no credential. */
export function peerOf(socket: TLSSocket, { clientCa, frontProxyCa }: { clientCa?: string; frontProxyCa?: string } = {}): Peer {
  const remoteAddress = socket.remoteAddress ?? ''
  const shown = socket.getPeerCertificate() as TlsCertificate | Record<string, never>
  const subject = (shown as Partial<TlsCertificate>).subject
  if (!subject) return { remoteAddress }
  if (!socket.authorized) return { remoteAddress, certificateRefused: String(socket.authorizationError) }
  const proxy = frontProxyCa !== undefined && isRootedIn(socket, frontProxyCa) ? { frontProxy: first(subject.CN) } : {}
  // It proves that its holder may speak for others, who he is himself only if the authority is one of clients, too.
  if ('frontProxy' in proxy && !(clientCa !== undefined && isRootedIn(socket, clientCa))) return { remoteAddress, ...proxy }
  const uids = all((subject as Readonly<Record<string, string | string[] | undefined>>)[USER_ID])
  return {
    remoteAddress, ...proxy,
    certificate: {
      commonName: first(subject.CN), organizations: all(subject.O), ...(uids.length > 0 && { uids }),
      ...expiryOf(shown as TlsCertificate), fingerprint: ((shown as TlsCertificate).fingerprint256 ?? '').replaceAll(':', '').toLowerCase(),
    },
  }
}

/** Whether its certificate, if it showed one, was believed and still would be. */
export function isJudgedAlike(socket: TLSSocket, { clientCa, frontProxyCa = '' }: { clientCa: string; frontProxyCa?: string }): boolean {
  if (!(socket.getPeerCertificate() as Partial<TlsCertificate>).subject) return true
  return socket.authorized && isRootedIn(socket, `${clientCa}\n${frontProxyCa}`)
}

function expiryOf({ valid_to: text }: TlsCertificate): { expiresMs?: number } {
  const expiresMs = Date.parse(text)
  return Number.isNaN(expiresMs) ? {} : { expiresMs }
}

/** Whether the verified chain ends in one of these authorities. */
function isRootedIn(socket: TLSSocket, pem: string): boolean {
  const authorities = parsePem(pem).map(({ bytes }) => new X509Certificate(bytes))
  const leaf = socket.getPeerX509Certificate()
  // A resumed session may know no more than the leaf.
  if (leaf && authorities.some((ca) => leaf.checkIssued(ca) && leaf.verify(ca.publicKey))) return true
  const roots = new Set(authorities.map((ca) => ca.fingerprint256))
  let at: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  for (let depth = 0; at && depth < CHAIN_MAX; depth++) {
    if (roots.has(at.fingerprint256)) return true
    const issuer: DetailedPeerCertificate | undefined = at.issuerCertificate
    at = issuer === at ? undefined : issuer
  }
  return false
}

const CHAIN_MAX = 16

/** The uid of a user in a subject, by Kubernetes' own number. */
const USER_ID = '1.3.6.1.4.1.57683.2'

const all = (value: string | string[] | undefined): string[] => (value === undefined ? [] : Array.isArray(value) ? value : [value])

const first = (value: string | string[] | undefined): string => (Array.isArray(value) ? (value[0] ?? '') : (value ?? ''))
