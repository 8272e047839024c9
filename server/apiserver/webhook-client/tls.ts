/** TLS on top of any byte stream, verified against the CA that the caller names, or the system's. */
import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import type { Clock } from '#base/clock.ts'
import { CodedError } from '#base/errors.ts'
import { parsePem } from '#base/x509/index.ts'
import { goTlsError } from './go-error.ts'

export interface TlsTrust {
  /** The name (or address) its certificate must be for. */
  serverName: string
  /** PEM; undefined: the system's authorities. */
  ca: string | undefined
  /** Nothing is verified. */
  insecure?: boolean
  /** PEM: who we are. */
  clientCertificate?: { certPem: string; keyPem: string } | undefined
}

/** Go's limit. */
const HANDSHAKE_MS_MAX = 10_000

/** Takes the stream over. Rejects with `TLS_FAILED` in Go's words. */
export async function secure(socket: Duplex, trust: TlsTrust, clock: Clock, signal: AbortSignal): Promise<TLSSocket> {
  const tls = await import('node:tls')
  const { serverName, insecure = false, clientCertificate } = trust
  const options: ConnectionOptions = {
    socket, minVersion: 'TLSv1.2', ALPNProtocols: ['http/1.1'], rejectUnauthorized: !insecure,
    ...(isIP(serverName) === 0 ? { servername: serverName } : { host: serverName, servername: '' }),
    ...(clientCertificate && { cert: clientCertificate.certPem, key: clientCertificate.keyPem }),
    ...(insecure ? {} : { ca: trust.ca ?? tls.getCACertificates('system') }),
    ...(isIP(serverName) !== 0 && !insecure && { checkServerIdentity: (_host: string, certificate: Parameters<typeof tls.checkServerIdentity>[1]) => tls.checkServerIdentity(serverName, certificate) }),
  }
  if (trust.ca !== undefined && !insecure && !isBundle(trust.ca)) {
    socket.destroy()
    throw new CodedError('TLS_FAILED', 'unable to load root certificates: unable to parse bytes as PEM block')
  }
  return new Promise((resolve, reject) => {
    const secured = tls.connect(options)
    const settle = (failure?: Error): void => {
      cancel()
      signal.removeEventListener('abort', onAbort)
      secured.off('error', onError)
      secured.off('close', onClose)
      if (!failure) return resolve(secured)
      // It may still complain while it goes.
      secured.on('error', () => { /* the first failure is what counts */ })
      secured.destroy()
      socket.destroy()
      reject(failure)
    }
    const onError = (error: Error): void => settle(new CodedError('TLS_FAILED', goTlsError(error, serverName), { cause: error }))
    const onClose = (): void => settle(new CodedError('TLS_FAILED', 'EOF'))
    const onAbort = (): void => settle(new CodedError('ABORTED', 'context canceled'))
    const cancel = clock.after(HANDSHAKE_MS_MAX, () => settle(new CodedError('TLS_FAILED', 'net/http: TLS handshake timeout')))
    secured.once('secureConnect', () => settle())
    secured.on('error', onError)
    secured.on('close', onClose)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}

/** OpenSSL skips what it cannot read and trusts nobody then. One readable certificate is enough, as for Go. */
function isBundle(pem: string): boolean {
  try {
    return parsePem(pem).some(({ label, bytes }) => label === 'CERTIFICATE' && new X509Certificate(bytes).subject !== undefined)
  } catch {
    // Whatever is wrong with it, it is no bundle.
    return false
  }
}
