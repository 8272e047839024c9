/** Who is at the other end of a TLS connection. */
import type { PeerCertificate as TlsCertificate, TLSSocket } from 'node:tls'
import type { Peer } from '../middleware/authenticate.ts'

/** A certificate that the client CA does not vouch for is as good as a wrong password; none at all is no credential. */
export function peerOf(socket: TLSSocket): Peer {
  const remoteAddress = socket.remoteAddress ?? ''
  const shown = socket.getPeerCertificate() as TlsCertificate | Record<string, never>
  const subject = (shown as Partial<TlsCertificate>).subject
  if (!subject) return { remoteAddress }
  if (!socket.authorized) return { remoteAddress, certificateRefused: String(socket.authorizationError) }
  const organizations: string | string[] | undefined = subject.O
  return {
    remoteAddress,
    certificate: { commonName: first(subject.CN), organizations: organizations === undefined ? [] : Array.isArray(organizations) ? organizations : [organizations] },
  }
}

const first = (value: string | string[] | undefined): string => (Array.isArray(value) ? (value[0] ?? '') : (value ?? ''))
