/** Certificates of the node's port out of files, on a real port. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { connect, type ConnectionOptions } from 'node:tls'
import { systemClock } from '#base/clock.ts'
import { createLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { certificatePem, createCertificate, generateKey, privateKeyPem } from '#base/x509/index.ts'
import { followPortFiles } from './port-files.ts'
import { serveSecureKubelet } from './secure-kubelet-server.ts'

const random = seededRandom(7)
const log = createLog({ nowMs: () => 0, level: 'info', format: 'text', write: () => {} })

async function pairOf(commonName: string): Promise<{ cert: string; key: string }> {
  const key = await generateKey()
  const der = createCertificate({ subject: { commonName, organizations: [] }, notBeforeMs: Date.UTC(2026, 0, 1), notAfterMs: Date.UTC(2055, 0, 1), isCa: true, keyUsages: ['digitalSignature', 'certSign'], extendedKeyUsages: ['serverAuth'] }, { key }, { selfSigned: key }, random)
  return { cert: certificatePem(der), key: privateKeyPem(key) }
}

async function filesOf(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'port-files-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const [cert, key] = [join(dir, 'tls.crt'), join(dir, 'tls.key')]
  const put = (pair: { cert: string; key: string }) => { writeFileSync(cert, pair.cert); writeFileSync(key, pair.key) }
  put(await pairOf('first'))
  return { cert, key, put }
}

/** The name in the certificate that is served. */
function served(port: number, options: Pick<ConnectionOptions, 'maxVersion' | 'ciphers'> = {}): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options }, () => { resolve(String(socket.getPeerCertificate().subject.CN)); socket.destroy() })
    socket.on('error', reject)
  })
}

test('the port is served with the pair that the files have, and with the next one once it is there whole', async (t) => {
  const { cert, key, put } = await filesOf(t)
  const files = followPortFiles({ cert, key, clientCa: cert }, { clock: systemClock, log })
  const [stop, listening] = [new AbortController(), Promise.withResolvers<number>()]
  const ended = serveSecureKubelet({ handlers: { request: () => {}, upgrade: () => {} } as never, port: 0, clientCa: () => files.clientCa(), identity: files, tls: { tlsMinVersion: 'VersionTLS13', tlsCipherSuites: [] }, authorize: () => Promise.reject(new Error('nobody asks')), log }, listening.resolve, stop.signal)
  t.after(async () => { files.close(); stop.abort(); await ended })
  const port = await listening.promise
  assert.equal(await served(port), 'first')
  await assert.rejects(served(port, { maxVersion: 'TLSv1.2' }), { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' })
  const changed = new Promise<void>((resolve) => { files.onChange(resolve) })
  const second = await pairOf('second')
  put(second)
  await changed
  assert.deepStrictEqual([await served(port), files.clientCa()], ['second', second.cert])
})

test('a certificate whose key is another\'s is said and not used', async (t) => {
  const { cert, key, put } = await filesOf(t)
  const said = Promise.withResolvers<void>()
  const files = followPortFiles({ cert, key, clientCa: '' }, { clock: systemClock, log: createLog({ nowMs: () => 0, level: 'info', format: 'text', write: (line) => { if (line.includes('are not used')) said.resolve() } }) })
  t.after(() => files.close())
  const before = files.serving()
  put({ cert: (await pairOf('one')).cert, key: (await pairOf('other')).key })
  await said.promise
  assert.deepStrictEqual(files.serving(), before)
})

test('files that make no sense at the start are refused by name', async (t) => {
  const { cert, key } = await filesOf(t)
  writeFileSync(key, 'none')
  assert.throws(() => followPortFiles({ cert, key, clientCa: '' }, { clock: systemClock, log }), { code: 'KUBELET_TLS', message: new RegExp(`^the kubelet API cannot be served with ${cert}, ${key}: `) })
})

test('without files nothing is said about certificates', () => {
  const files = followPortFiles({ cert: '', key: '', clientCa: '' }, { clock: systemClock, log })
  assert.deepStrictEqual([files.serving(), files.clientCa()], [undefined, undefined])
  files.close()
})
