/** A real HTTPS server with certificates of its own, as a webhook or an extension API server would be. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { certificatePem, createCertificate, generateKey, NO_ALT_NAMES, parseCertificate, privateKeyPem, type Issuer } from '#base/x509/index.ts'
import { systemRandom } from '#base/random.ts'

const DAY_MS = 86_400_000

export async function testAuthority(commonName = 'webhook-ca'): Promise<Issuer & { pem: string }> {
  const key = await generateKey()
  const der = createCertificate({ subject: { commonName, organizations: [] }, notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS, isCa: true, keyUsages: ['certSign', 'digitalSignature'] }, { key }, { selfSigned: key }, systemRandom)
  return { certificate: parseCertificate(der), key, pem: certificatePem(der) }
}

export async function testCertificate(issuer: Issuer, dnsNames: readonly string[], ipAddresses: readonly string[] = ['127.0.0.1']): Promise<{ cert: string; key: string }> {
  const key = await generateKey()
  const der = createCertificate({
    subject: { commonName: 'webhook', organizations: [] }, notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS,
    keyUsages: ['digitalSignature'], extendedKeyUsages: ['serverAuth'], altNames: { ...NO_ALT_NAMES, dnsNames, ipAddresses },
  }, { key }, issuer, systemRandom)
  return { cert: certificatePem(der), key: privateKeyPem(key) }
}

export interface Received { method: string; path: string; headers: IncomingMessage['headers']; body: string; peer: string | undefined }

export interface TestServer {
  port: number
  /** PEM in base64, as clientConfig has it. */
  caBundle: string
  caPem: string
  received: Received[]
  /** Connections so far. */
  connections: () => number
  server: Server
  /** What is idle is closed. */
  closeIdle(): void
  close(): Promise<void>
}

export type Answer = (request: Received, res: ServerResponse) => void

/** `names`: what its certificate is for besides 127.0.0.1. `clientCa`: client certificates are asked for. */
export async function httpsServer(answer: Answer, names: readonly string[] = [], options: { clientCa?: string } = {}): Promise<TestServer> {
  const ca = await testAuthority()
  const server = createServer({ ...(await testCertificate(ca, names)), ...(options.clientCa !== undefined && { ca: options.clientCa, requestCert: true, rejectUnauthorized: false }) })
  const received: Received[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  server.on('secureConnection', (socket) => {
    connections++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const { subject } = ((req.socket as TLSSocket).getPeerCertificate() ?? {}) as { subject?: { CN?: string } }
      const request = { method: req.method ?? '', path: req.url ?? '', headers: req.headers, body: Buffer.concat(chunks).toString(), peer: subject?.CN }
      received.push(request)
      answer(request, res)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port, caPem: ca.pem, caBundle: Buffer.from(ca.pem).toString('base64'), received, server,
    connections: () => connections,
    closeIdle: () => server.closeIdleConnections(),
    close: () => new Promise((resolve) => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    }),
  }
}
