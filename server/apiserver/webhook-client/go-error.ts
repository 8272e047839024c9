/** Node's network and TLS failures in the words Go has for them: people and tools grep webhook failures for these. Pure. */
import { isIP } from 'node:net'

const TCP: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused', EHOSTUNREACH: 'connect: no route to host', ENETUNREACH: 'connect: network is unreachable', ETIMEDOUT: 'connect: connection timed out',
  ECONNRESET: 'read: connection reset by peer', EPIPE: 'write: broken pipe', EACCES: 'connect: permission denied',
}

const UNKNOWN_AUTHORITY = 'x509: certificate signed by unknown authority'
const X509: Readonly<Record<string, string>> = {
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY, UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY, UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY, SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY, CERT_SIGNATURE_FAILURE: UNKNOWN_AUTHORITY, CERT_UNTRUSTED: UNKNOWN_AUTHORITY,
  CERT_HAS_EXPIRED: 'x509: certificate has expired or is not yet valid', CERT_NOT_YET_VALID: 'x509: certificate has expired or is not yet valid',
  INVALID_PURPOSE: 'x509: certificate specifies an incompatible key usage',
}

interface NodeError extends Error { code?: string; cert?: { subjectaltname?: string; subject?: { CN?: string } } }

export function goNetError(error: NodeError, { host, port }: { host: string; port: number }): string {
  const code = error.code ?? ''
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `dial tcp: lookup ${host}: ${code === 'ENOTFOUND' ? 'no such host' : 'server misbehaving'}`
  // Several addresses of one name were tried: the first failure speaks for all.
  const inner = error instanceof AggregateError ? (error.errors[0] as NodeError | undefined) : undefined
  const text = TCP[code] ?? TCP[inner?.code ?? ''] ?? (error.message || (inner?.message ?? code))
  return `dial tcp ${host.includes(':') ? `[${host}]` : host}:${port}: ${text}`
}

export function goTlsError(error: NodeError, serverName: string): string {
  const code = error.code ?? ''
  const x509 = X509[code]
  if (x509 !== undefined) return `tls: failed to verify certificate: ${x509}`
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `tls: failed to verify certificate: x509: ${wrongName(error, serverName)}`
  if (/wrong version number|packet length too long|http request/i.test(error.message)) return 'http: server gave HTTP response to HTTPS client'
  if (code === 'ECONNRESET') return 'EOF'
  const alert = /alert (?:number (\d+)|([a-z ]+))/i.exec(error.message)
  if (alert) return `remote error: tls: ${/certificate required/i.test(error.message) ? 'certificate required' : /bad certificate/i.test(error.message) ? 'bad certificate' : /handshake failure/i.test(error.message) ? 'handshake failure' : (alert[2] ?? `alert(${alert[1]})`).trim()}`
  return TCP[code] ?? error.message
}

function wrongName({ cert }: NodeError, serverName: string): string {
  const names = (cert?.subjectaltname ?? '').split(', ').filter((n) => n !== '')
  if (names.length === 0) return cert?.subject?.CN === undefined ? `certificate is not valid for any names, but wanted to match ${serverName}` : 'certificate relies on legacy Common Name field, use SANs instead'
  const wanted = isIP(serverName) === 0 ? 'DNS:' : 'IP Address:'
  const valid = names.filter((n) => n.startsWith(wanted)).map((n) => n.slice(wanted.length))
  if (valid.length === 0) return isIP(serverName) === 0 ? `certificate is not valid for any names, but wanted to match ${serverName}` : `cannot validate certificate for ${serverName} because it doesn't contain any IP SANs`
  return `certificate is valid for ${valid.join(', ')}, not ${serverName}`
}
