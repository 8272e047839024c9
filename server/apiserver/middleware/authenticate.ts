/** Who asks. In-process callers say so themselves; those from the network prove it. */
import { ANONYMOUS, type UserInfo } from '#api/types/index.ts'
import type { Log } from '#base/log.ts'
import type { Authenticator, PeerCertificate } from '../auth.ts'
import { unauthorized } from '../http/status.ts'
import { frontProxyUser, maySpeakForOthers, REQUEST_HEADERS, type RequestHeaders } from './front-proxy.ts'

export type Peer =
  | { remoteAddress: string; certificate?: PeerCertificate; /** A certificate was shown that the client CA did not sign, or that is out of date. */ certificateRefused?: string; /** A certificate of the front proxy's CA: its common name. */ frontProxy?: string }
  /** A part of this very process. */
  | { user: UserInfo }

/** Throws 401 for credentials that are wrong; none at all is the anonymous user, where the path may be asked for so. */
export async function authenticate(peer: Peer, headers: Readonly<Record<string, string>>, path: string, { authenticator, requestHeaders = REQUEST_HEADERS, warn, log }: { authenticator: Authenticator; requestHeaders?: RequestHeaders | undefined; warn?: (text: string) => void; log: Log }): Promise<UserInfo> {
  if ('user' in peer) return peer.user
  const proxied = peer.frontProxy === undefined ? undefined : frontProxyUser(headers, requestHeaders)
  if (proxied) {
    if (maySpeakForOthers(peer.frontProxy ?? '', requestHeaders)) return proxied
    log.debug('authentication failed', { remoteAddress: peer.remoteAddress, because: `x509: subject with cn=${peer.frontProxy} is not in the allowed list` })
    // Where the authority is one of clients, too, it may still be somebody himself.
    if (!peer.certificate) throw unauthorized()
  }
  const bearer = /^bearer +(\S+)$/i.exec(headers['authorization'] ?? '')?.[1]
  const answer = await authenticator.authenticate({
    remoteAddress: peer.remoteAddress,
    ...(peer.certificate && { certificate: peer.certificate }), ...(bearer !== undefined && { bearer }),
  })
  if (answer.ok) {
    if (answer.warning !== undefined) warn?.(answer.warning)
    return answer.user
  }
  const refused = peer.certificateRefused ?? ((peer.frontProxy === undefined || peer.certificate ? undefined : 'the front proxy named nobody'))
  // Another scheme than Bearer is no credential, as upstream has it.
  if (answer.why === 'none' && refused === undefined && (authenticator.mayBeAnonymous?.(path) ?? true)) return ANONYMOUS
  log.debug('authentication failed', { remoteAddress: peer.remoteAddress, because: answer.why === 'invalid' ? answer.because : refused ?? 'no credentials' })
  throw unauthorized()
}
