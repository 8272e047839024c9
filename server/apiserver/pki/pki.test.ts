import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import tls from 'node:tls'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { UsageError } from '#base/errors.ts'
import { fingerprint, isIssuedBy, parseCertificatesPem } from '#base/x509/index.ts'
import { parseToken } from '#api/token/token.ts'
import { DAY_MS } from './authorities.ts'
import { openPki, type PkiOptions } from './pki.ts'

const NOW = Date.UTC(2026, 10, 20)

function world(t: TestContext) {
  const dataDir = mkdtempSync(join(tmpdir(), 'pki-'))
  t.after(() => rmSync(dataDir, { recursive: true }))
  const clock = new FakeClock(NOW)
  const open = (over: Partial<PkiOptions> = {}) => openPki({ dataDir, clock, random: systemRandom, log: silentLog, names: ['board-1', '192.0.2.7'], clusterDomain: 'cluster.local', serviceIp: '10.43.0.1', ...over })
  const file = (name: string) => join(dataDir, 'server', name)
  const snapshot = () => Object.fromEntries(readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).filter((f) => statSync(join(dataDir, f)).isFile()).sort().map((f) => [f, readFileSync(join(dataDir, f), 'utf8')]))
  return { dataDir, clock, open, file, snapshot }
}

test('the first start makes everything, secrets readable by root alone; the second changes nothing', async (t) => {
  const { open, snapshot, dataDir } = world(t)
  const pki = await open()
  const first = snapshot()
  assert.deepStrictEqual(Object.keys(first), [
    'server/agent-token', 'server/tls/client-admin.crt', 'server/tls/client-admin.key', 'server/tls/client-auth-proxy.crt', 'server/tls/client-auth-proxy.key', 'server/tls/client-ca.crt', 'server/tls/client-ca.key',
    'server/tls/kubelet-serving-ca.crt', 'server/tls/kubelet-serving-ca.key', 'server/tls/request-header-ca.crt', 'server/tls/request-header-ca.key', 'server/tls/server-ca.crt', 'server/tls/server-ca.key', 'server/tls/service.key', 'server/tls/serving-kube-apiserver.crt', 'server/tls/serving-kube-apiserver.key', 'server/token',
  ])
  for (const name of Object.keys(first).filter((f) => !f.endsWith('.crt'))) assert.equal((statSync(join(dataDir, name)).mode & 0o777).toString(8), '600', name)
  const again = await open()
  assert.deepStrictEqual(snapshot(), first)
  assert.deepStrictEqual([again.serving.certPem, again.tokens.server, again.serviceAccountKeys[0]?.kid], [pki.serving.certPem, pki.tokens.server, pki.serviceAccountKeys[0]?.kid])
  const [leaf, root] = parseCertificatesPem(pki.serving.certPem)
  assert.ok(leaf && root && isIssuedBy(leaf, root))
  assert.deepStrictEqual(leaf.altNames, { dnsNames: ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local', 'localhost', 'board-1'], ipAddresses: ['127.0.0.1', '::1', '10.43.0.1', '192.0.2.7'], emails: [], uris: [] })
  assert.equal(leaf.notBeforeMs, root.notBeforeMs)
  assert.equal(parseToken(pki.tokens.node).caHash, fingerprint(root.der))
  assert.deepStrictEqual(parseCertificatesPem(pki.admin.certPem)[0]?.subject, { commonName: 'system:admin', organizations: ['system:masters'] })
})

test('a real handshake accepts the serving certificate and shows the root', async (t) => {
  // The handshake reads the machine's own clock, so the certificates must be of today.
  const { open } = world(t)
  const pki = await open({ clock: new FakeClock(Date.now()) })
  const server = tls.createServer({ cert: pki.serving.certPem, key: pki.serving.keyPem, ca: pki.authorities.client.certPem, requestCert: true, rejectUnauthorized: true }, (s) => { s.end(String(s.getPeerCertificate().subject.CN)) })
  await new Promise<void>((r) => server.listen(0, '127.0.0.1', r))
  t.after(() => server.close())
  const port = (server.address() as { port: number }).port
  const { chain, said } = await new Promise<{ chain: Buffer[]; said: string }>((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', servername: 'kubernetes', ca: pki.authorities.server.certPem, cert: pki.admin.certPem, key: pki.admin.keyPem }, () => {
      const peer = socket.getPeerCertificate(true)
      let said = ''
      socket.setEncoding('utf8').on('data', (d: string) => { said += d }).on('end', () => resolve({ chain: [peer.raw, peer.issuerCertificate.raw], said }))
    })
    socket.on('error', reject)
  })
  assert.deepStrictEqual([said, fingerprint(chain[1] ?? Buffer.alloc(0))], ['system:admin', pki.authorities.server.hash])
})

test('a start cut off after any file is completed by the next one', async (t) => {
  const { open, snapshot, dataDir } = world(t)
  await open()
  const order = ['server-ca.key', 'server-ca.crt', 'client-ca.key', 'client-ca.crt', 'request-header-ca.key', 'request-header-ca.crt', 'kubelet-serving-ca.key', 'kubelet-serving-ca.crt', 'service.key'].map((f) => `server/tls/${f}`)
  const whole = snapshot()
  for (let kept = 0; kept <= order.length; kept++) {
    rmSync(join(dataDir, 'server'), { recursive: true })
    await open()
    for (const f of Object.keys(whole)) if (!order.slice(0, kept).includes(f)) rmSync(join(dataDir, f))
    const before = snapshot()
    const pki = await open()
    const after = snapshot()
    for (const [f, text] of Object.entries(before)) assert.equal(after[f], text, `${f} was changed after ${kept} files`)
    assert.deepStrictEqual(Object.keys(after), Object.keys(whole))
    assert.ok(isIssuedBy(parseCertificatesPem(pki.serving.certPem)[0] as never, pki.authorities.server.certificate))
  }
})

test('an authority that cannot be right is refused with a sentence that names the file, and left alone', async (t) => {
  const { open, file, snapshot } = world(t)
  await open()
  const refused = async (damage: () => void, message: RegExp) => {
    const keep = snapshot()
    damage()
    const damaged = snapshot()
    await assert.rejects(open(), (e: { code?: string; message?: string }) => e.code === 'PKI_BROKEN' && message.test(e.message ?? '') && !e.message?.includes('\n'))
    assert.deepStrictEqual(snapshot(), damaged)
    for (const [f, text] of Object.entries(keep)) writeFileSync(file(f.slice('server/'.length)), text)
  }
  await refused(() => rmSync(file('tls/client-ca.key')), /client-ca\.crt is there but its key .*client-ca\.key is missing: restore both/)
  await refused(() => truncateSync(file('tls/server-ca.crt')), /server-ca\.crt is not a certificate: restore/)
  await refused(() => writeFileSync(file('tls/server-ca.crt'), readFileSync(file('tls/client-ca.crt'))), /server-ca\.crt does not belong to .*server-ca\.key/)
  await refused(() => truncateSync(file('tls/service.key')), /service\.key does not hold an ECDSA P-256 private key/)
  await refused(() => truncateSync(file('token')), /token does not hold a token/)
  await open()
})

test('a damaged leaf certificate is simply made again', async (t) => {
  const { open, file } = world(t)
  await open()
  truncateSync(file('tls/serving-kube-apiserver.crt'))
  rmSync(file('tls/client-admin.key'))
  const pki = await open()
  assert.ok(parseCertificatesPem(pki.serving.certPem).length === 2 && existsSync(file('tls/client-admin.key')))
})

test('a clock that stands before the cluster began is told in one sentence, and nothing is made', async (t) => {
  const { open, clock, snapshot } = world(t)
  clock.jumpWall(-clock.nowMs())
  await assert.rejects(open(), { code: 'CLOCK_BEHIND', message: 'the clock says 1970-01-01 00:00:00 UTC, which cannot be: certificates made now would end before they are used; set the clock or let NTP set it' })
  assert.deepStrictEqual(snapshot(), {})
  clock.jumpWall(NOW)
  await open()
  clock.jumpWall(-30 * DAY_MS)
  await assert.rejects(open(), { code: 'CLOCK_BEHIND', message: 'the clock says 2026-10-21 00:00:00 UTC, but this cluster\'s certificates begin at 2026-11-18 00:00:00 UTC: set the clock or let NTP set it' })
})

test('at two thirds of their life certificates are replaced while running, and whoever serves them is told', async (t) => {
  const { open, clock } = world(t)
  const pki = await open()
  let told = 0
  pki.onRenewed(() => { told++ })
  const before = pki.serving.certPem
  await clock.advance(240 * DAY_MS)
  assert.equal(await pki.renew(), false)
  await clock.advance(5 * DAY_MS)
  assert.equal(await pki.renew(), true)
  assert.equal(told, 1)
  assert.notEqual(pki.serving.certPem, before)
  assert.equal(parseCertificatesPem(pki.serving.certPem)[0]?.notAfterMs, clock.nowMs() + 365 * DAY_MS)
  assert.equal(await pki.renew(), false)
})

test('another address gives another certificate from the same authority', async (t) => {
  const { open } = world(t)
  const pki = await open()
  const moved = await open({ names: ['board-1', '192.0.2.99'] })
  assert.notEqual(moved.serving.certPem, pki.serving.certPem)
  assert.equal(moved.authorities.server.hash, pki.authorities.server.hash)
  assert.equal(moved.admin.certPem, pki.admin.certPem)
  assert.equal(await moved.renew(['board-1', '198.51.100.5']), true)
  assert.ok(parseCertificatesPem(moved.serving.certPem)[0]?.altNames.ipAddresses.includes('198.51.100.5'))
})

test('--token and --agent-token are taken over; the token of another cluster is refused', async (t) => {
  const { open, file } = world(t)
  const made = await open()
  assert.notEqual(parseToken(made.tokens.server).secret, parseToken(made.tokens.node).secret)
  const pki = await open({ token: 'hunter2', agentToken: made.tokens.node })
  assert.deepStrictEqual(pki.tokens.secrets, [{ user: 'server', secret: 'hunter2' }, { user: 'node', secret: parseToken(made.tokens.node).secret }])
  assert.equal(readFileSync(file('token'), 'utf8').trim(), pki.tokens.server)
  await assert.rejects(open({ token: `S10${'0'.repeat(64)}::server:x` }), (e) => e instanceof UsageError && e.message.startsWith('--token is the token of another cluster'))
})
