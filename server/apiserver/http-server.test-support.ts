/** A served API on a real port, with certificates of its own. */
import { createCertificate, certificatePem, generateKey, parseCertificate, privateKeyPem, NO_ALT_NAMES, type AltNames, type ExtendedKeyUsage, type Issuer } from '#base/x509/index.ts'
import { systemClock } from '#base/clock.ts'
import { silentLog, type Log } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { harness, type Harness } from './app.test-support.ts'
import type { ApiServerOptions } from './app.ts'
import { createHttpServer, type HttpLimits, type HttpServer, type TlsChoice } from './http-server.ts'
import type { ChooseCertificate } from './http/certificate-choice.ts'
import { createTunnelHub, TUNNEL_ALPN, type TunnelHub } from './nodes/tunnel-hub.ts'

export interface Credential { cert: string; key: string }

export interface Served extends Harness {
  http: HttpServer
  hub: TunnelHub
  port: number
  ca: string
  /** Of the stranger: not believed unless that is changed. */
  strangerCa: string
  proxyCa: string
  admin: Credential
  /** A client certificate signed by the server's CA, by a stranger, or by the CA of the front proxy. */
  serving: Credential
  client: (commonName: string, organizations: readonly string[], from?: 'own' | 'stranger' | 'proxy') => Promise<Credential>
  /** A server's certificate for these names, signed by the stranger. */
  other: (...dnsNames: readonly string[]) => Promise<Credential>
}

const DAY_MS = 86_400_000

async function authority(): Promise<Issuer> {
  const key = await generateKey()
  const der = createCertificate({ subject: { commonName: 'test-ca', organizations: [] }, notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS, isCa: true, keyUsages: ['certSign', 'digitalSignature'] }, { key }, { selfSigned: key }, systemRandom)
  return { certificate: parseCertificate(der), key }
}

async function leaf(issuer: Issuer, commonName: string, organizations: readonly string[], usage: ExtendedKeyUsage, altNames: AltNames = NO_ALT_NAMES): Promise<Credential> {
  const key = await generateKey()
  const der = createCertificate({ subject: { commonName, organizations }, notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS, keyUsages: ['digitalSignature'], extendedKeyUsages: [usage], altNames }, { key }, issuer, systemRandom)
  return { cert: certificatePem(der), key: privateKeyPem(key) }
}

export async function served(over: Partial<ApiServerOptions> = {}, limits: Partial<HttpLimits> = {}, more: { port?: number; log?: Log; agentsBackMs?: number; tlsChoice?: TlsChoice; choose?: ChooseCertificate } = {}): Promise<Served> {
  const [own, stranger, proxy] = await Promise.all([authority(), authority(), authority()])
  const hub = createTunnelHub({ clock: systemClock, log: silentLog, ...(more.agentsBackMs !== undefined && { agentsBackMs: more.agentsBackMs }) })
  const h = harness({
    clock: systemClock, nodeConnector: hub,
    authenticator: { authenticate: async ({ certificate }) => (certificate ? { ok: true, user: { name: certificate.commonName, groups: [...certificate.organizations, 'system:authenticated'] } } : { ok: false, why: 'none' }) },
    ...over,
  })
  const serving = await leaf(own, 'server', [], 'serverAuth', { ...NO_ALT_NAMES, ipAddresses: ['127.0.0.1'] })
  const [ca, strangerCa, proxyCa] = [own, stranger, proxy].map((issuer) => certificatePem(issuer.certificate.der)) as [string, string, string]
  const http = await createHttpServer({ api: h.api, tls: { ...serving, clientCa: ca, frontProxyCa: proxyCa, ...(more.choose && { choose: more.choose }) }, clock: systemClock, random: systemRandom, log: more.log ?? silentLog, protocols: { [TUNNEL_ALPN]: (socket) => hub.accept(socket) }, limits, ...(more.tlsChoice && { tlsChoice: more.tlsChoice }) })
  const port = await http.listen(more.port ?? 0, '127.0.0.1')
  return {
    ...h, http, hub, port, ca, strangerCa, proxyCa, serving, admin: await leaf(own, 'admin', ['system:masters'], 'clientAuth'),
    other: (...dnsNames) => leaf(stranger, dnsNames[0] ?? '', [], 'serverAuth', { ...NO_ALT_NAMES, dnsNames }),
    client: (commonName, organizations, from = 'own') => leaf({ own, stranger, proxy }[from], commonName, organizations, 'clientAuth'),
  }
}
