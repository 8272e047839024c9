/** Members' names in certificates, and the check of one: whoever holds such a certificate is that member. */
import { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { MemberId } from '../../raft/types.ts'

export const RAFT_ALPN = 'skiff-raft/1'

const SUFFIX = '.member.skiff.internal'
export const MEMBERS_ORGANIZATION = 'skiff:servers'

/** Common name, DNS name, and what is asked for by SNI: a name that no client of the API uses. */
export const memberName = (member: MemberId): string => `${member}${SUFFIX}`

/** Undefined: it is no member's. */
export function memberOf(name: string): MemberId | undefined {
  const id = name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : ''
  return /^[1-9]\d{0,15}$/.test(id) && Number.isSafeInteger(Number(id)) ? Number(id) : undefined
}

/**
 * Who has called, by its certificate. Verified here, whatever TLS says: a resumed session may have been verified for
 * another name, against other authorities.
 */
export function callerOf(socket: TLSSocket, caPem: string, nowMs: number): MemberId | undefined {
  const leaf = socket.getPeerX509Certificate()
  if (!leaf || !isOfCluster(leaf, caPem, nowMs)) return undefined
  const subject = socket.getPeerCertificate().subject as { CN?: string | string[]; O?: string | string[] } | undefined
  return typeof subject?.CN === 'string' && subject.O === MEMBERS_ORGANIZATION ? memberOf(subject.CN) : undefined
}

function isOfCluster(leaf: X509Certificate, caPem: string, nowMs: number): boolean {
  const ca = new X509Certificate(caPem)
  return leaf.checkIssued(ca) && leaf.verify(ca.publicKey) && nowMs >= Date.parse(leaf.validFrom) && nowMs <= Date.parse(leaf.validTo)
}
