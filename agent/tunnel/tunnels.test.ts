import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { createServer as createTls, type Server as TlsServer, type TLSSocket } from 'node:tls'
import { connect } from 'node:http2'
import { describe, it } from 'node:test'
import { createConnectivity } from '#api/client/connectivity.ts'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { certificatePem, createCertificate, generateKey, NO_ALT_NAMES, parseCertificate, privateKeyPem } from '#base/x509/index.ts'
import { TUNNEL_ALPN } from './tunnel.ts'
import { keepTunnels } from './tunnels.ts'

const DAY_MS = 86_400_000
const life = () => ({ notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS })

async function certificates() {
  const caKey = await generateKey()
  const ca = createCertificate({ subject: { commonName: 'ca', organizations: [] }, ...life(), isCa: true, keyUsages: ['certSign'] }, { key: caKey }, { selfSigned: caKey }, systemRandom)
  const leaf = async () => {
    const key = await generateKey()
    const der = createCertificate({ subject: { commonName: 'x', organizations: [] }, ...life(), keyUsages: ['digitalSignature'], extendedKeyUsages: ['serverAuth', 'clientAuth'], altNames: { ...NO_ALT_NAMES, dnsNames: ['kubernetes'] } }, { key }, { certificate: parseCertificate(ca), key: caKey }, systemRandom)
    return { cert: certificatePem(der), key: privateKeyPem(key) }
  }
  return { ca: certificatePem(ca), leaf }
}

const listening = async (server: TlsServer): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

describe('tunnels', { timeout: 180_000 }, () => {
  it('lead to each server once, whatever it is called, follow the list, and take another road when one is cut', async () => {
    const { ca, leaf } = await certificates()
    const own = await leaf()
    /** Those that live, by server. */
    const open = new Map<string, Set<TLSSocket>>()
    const waiting = new Set<() => void>()
    const changed = () => { for (const look of waiting) look() }
    const server = async (name: string) => {
      open.set(name, new Set())
      const tls = createTls({ ...(await leaf()), ca, requestCert: true, ALPNProtocols: [TUNNEL_ALPN] }, (socket) => {
        const session = connect('https://node', { createConnection: () => socket })
        session.on('error', () => { /* a close follows */ })
        socket.on('error', () => { /* a close follows */ })
        // Whoever is there for good has said hello over HTTP/2.
        session.once('remoteSettings', () => { open.get(name)?.add(socket); changed() })
        socket.on('close', () => { open.get(name)?.delete(socket); changed() })
      })
      return { tls, port: await listening(tls) }
    }
    const until = (holds: () => boolean) => new Promise<void>((resolve) => {
      const look = () => {
        if (!holds()) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      look()
    })
    const count = (name: string) => open.get(name)?.size
    const [a, b] = [await server('a'), await server('b')]
    const listeners = new Set<() => void>()
    let servers = [`https://127.0.0.1:${a.port}`, `https://localhost:${a.port}`]
    const stop = new AbortController()
    const done = keepTunnels({ current: () => servers, onChange: (l) => { listeners.add(l); return () => listeners.delete(l) } }, {
      accept: () => false, credentials: () => ({ ca, ...own }), clock: systemClock, connectivity: createConnectivity(systemClock), random: systemRandom, log: silentLog,
    }, stop.signal)
    await until(() => count('a') === 1)
    servers = [...servers, `https://127.0.0.1:${b.port}`]
    for (const listener of listeners) listener()
    await until(() => count('b') === 1)
    assert.deepEqual([count('a'), count('b')], [1, 1])
    // The one that is used is cut: it, or the other name of the same server, is there again.
    for (const socket of open.get('a') ?? []) socket.destroy()
    await until(() => count('a') === 0)
    await until(() => count('a') === 1)
    servers = servers.slice(0, 2)
    for (const listener of listeners) listener()
    await until(() => count('b') === 0)
    stop.abort()
    await done
    await until(() => count('a') === 0)
    a.tls.close()
    b.tls.close()
  })
})
