/**
 * The kubelet API on its port (10250): TLS with the node's serving certificate, for those who prove who they are. It begins once
 * there is a certificate and follows its renewals; where the port is taken the node goes on without, and says so once.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { opensslCiphers } from '#base/tls-suites.ts'
import type { KubeletConfig } from '../kubelet/config.ts'
import type { KubeletVerdict } from './kubelet-auth.ts'
import { HEADERS_BYTES_MAX, refuseUpgrade, type KubeletHandlers } from './kubelet-server.ts'

export interface SecureKubeletServerOptions {
  handlers: KubeletHandlers
  port: number
  /** Of client certificates, PEM; undefined: none are believed. It may be another when the identity has changed, not none any more. */
  clientCa: () => string | undefined
  identity: { serving(): { cert: string; key: string } | undefined; onChange(listener: () => void): () => void }
  /** What TLS it speaks, by upstream's names; no suites: all that are good. */
  tls: Pick<KubeletConfig, 'tlsMinVersion' | 'tlsCipherSuites'>
  authorize: (request: IncomingMessage) => Promise<KubeletVerdict>
  log: Log
}

/** A head that does not come in this time, or a connection without a request for that long, ends. */
const HEADERS_MS_MAX = 20_000
const IDLE_MS_MAX = 120_000
const CONNECTIONS_MAX = 1_000

/** Resolves when the signal aborts. `onListening` is told the port once it is served. */
export async function serveSecureKubelet(options: SecureKubeletServerOptions, onListening: (port: number) => void, signal: AbortSignal): Promise<void> {
  const { handlers, identity, clientCa, authorize, port, tls } = options
  const log = options.log.with('kubelet-api')
  const first = await firstCertificate(identity, signal)
  if (!first) return
  const choice = { minVersion: tls.tlsMinVersion === 'VersionTLS13' ? 'TLSv1.3' as const : 'TLSv1.2' as const, ...(tls.tlsCipherSuites.length > 0 && { ciphers: opensslCiphers(tls.tlsCipherSuites) }) }
  const context = (pair: { cert: string; key: string }) => {
    const ca = clientCa()
    return { ...pair, ...choice, ...(ca !== undefined && { ca }) }
  }
  const server = createServer({ ...context(first), requestCert: clientCa() !== undefined, rejectUnauthorized: false, maxHeaderSize: HEADERS_BYTES_MAX }, (request, response) => {
    void authorize(request).then((verdict) => (verdict.ok ? handlers.request(request, response) : refuse(response, verdict)))
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy())
    void authorize(request).then((verdict) => (verdict.ok ? handlers.upgrade(request, socket, head) : refuseUpgrade(socket, verdict.status, verdict.message)))
  })
  server.headersTimeout = HEADERS_MS_MAX
  server.requestTimeout = 0
  server.keepAliveTimeout = IDLE_MS_MAX
  server.maxConnections = CONNECTIONS_MAX
  const off = identity.onChange(() => {
    const pair = identity.serving()
    if (pair) server.setSecureContext(context(pair))
  })
  try {
    await new Promise<void>((resolve) => {
      server.once('error', (error) => {
        log.warn(`port ${port} cannot be served: metrics-server and Prometheus will not reach this node; kubectl logs and exec do not need it`, { error: asError(error) })
        resolve()
      })
      server.listen(port, () => {
        server.on('error', (error) => log.warn('the kubelet API has a problem', { error: asError(error) }))
        const address = server.address()
        onListening(typeof address === 'object' && address ? address.port : port)
      })
      if (signal.aborted) resolve()
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  } finally {
    off()
    server.close()
    server.closeAllConnections()
  }
}

function firstCertificate(identity: SecureKubeletServerOptions['identity'], signal: AbortSignal): Promise<{ cert: string; key: string } | undefined> {
  return new Promise((resolve) => {
    const settle = () => {
      const pair = identity.serving()
      if (!pair && !signal.aborted) return
      off()
      resolve(signal.aborted ? undefined : pair)
    }
    const off = identity.onChange(settle)
    signal.addEventListener('abort', settle, { once: true })
    settle()
  })
}

function refuse(response: ServerResponse, { status, message }: Extract<KubeletVerdict, { ok: false }>): void {
  response.statusCode = status
  response.setHeader('content-type', 'text/plain; charset=utf-8')
  response.end(message)
}
