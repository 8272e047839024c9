import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import tls from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { createClient } from '#api/client/rest.ts'
import { createTlsTransport } from '#api/client/tls-transport.ts'
import { ApiError } from '#api/client/client.ts'
import { CERTIFICATE_SIGNING_REQUESTS, NODES, SECRETS, type CertificateSigningRequest, type Node, type UserInfo } from '#api/types/index.ts'
import { formatToken, parseToken } from '#api/token/token.ts'
import { systemClock, type Clock } from '#base/clock.ts'
import { UsageError } from '#base/errors.ts'
import { createLog, silentLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { runPass } from '#base/reconcile/loop.ts'
import { parseCertificatesPem } from '#base/x509/index.ts'
import { createAuthenticator } from '#server/apiserver/authn/authenticator.ts'
import { lookupFromClient } from '#server/apiserver/authn/lookup.ts'
import { createMemoryClient } from '#server/apiserver/authn/memory-client.test-support.ts'
import { createServiceAccountTokens } from '#server/apiserver/authn/service-account-tokens.ts'
import { admissionApi, admissionRequest } from '#server/apiserver/admission.test-support.ts'
import { nodePasswordPlugin } from '#server/apiserver/authz/node-password.ts'
import { openPki } from '#server/apiserver/pki/pki.ts'
import { certificateEffects } from '#server/controllers/certificates/apply.ts'
import { decideCertificate } from '#server/controllers/certificates/decide.ts'
import { parseRequest } from '#base/x509/index.ts'
import { API_SERVER_NAME } from '#api/join/probe.ts'
import { joinCluster, type JoinOptions } from './join.ts'

const DAY_MS = 86_400_000

/** The certificates part of an API server, over real TLS: real PKI, authentication, node passwords, approval and signing; objects in memory. */
async function cluster(t: TestContext, clock: Clock = systemClock) {
  const dataDir = mkdtempSync(join(tmpdir(), 'join-'))
  const pki = await openPki({ dataDir: join(dataDir, 'server'), clock, random: systemRandom, log: silentLog, names: [], clusterDomain: 'cluster.local', serviceIp: '10.43.0.1' })
  const objects = createMemoryClient(() => clock.nowMs())
  const lookup = lookupFromClient(objects)
  const authenticator = createAuthenticator({
    serviceAccounts: createServiceAccountTokens({ keys: pki.serviceAccountKeys, issuer: 'https://x', lookup, clock, random: systemRandom }),
    lookup, clock, joinSecrets: () => pki.tokens.secrets,
  })
  const seen: { bearers: string[]; users: string[] } = { bearers: [], users: [] }

  const answerCsr = async (name: string) => {
    const signal = new AbortController().signal
    for (let pass = 0; pass < 2; pass++) {
      await runPass({
        name: 'csr',
        async observe() {
          const csr = await objects.get<CertificateSigningRequest>(CERTIFICATE_SIGNING_REQUESTS, name)
          const node = await lookup.get<Node>(NODES, csr.spec.username?.slice('system:node:'.length) ?? '')
          const isBootstrap = csr.spec.groups?.includes('system:bootstrappers:skiff:node') ?? false
          return { csr, request: parseRequest(Buffer.from(csr.spec.request, 'base64').toString()), mayRequest: { nodeclient: isBootstrap, selfnodeclient: csr.spec.groups?.includes('system:nodes') ?? false }, node, issuedUntilMs: undefined }
        },
        decide: decideCertificate,
        effects: (view) => certificateEffects(view, { client: objects, clock, random: systemRandom, authorities: pki.authorities }),
      }, name, { clock, random: systemRandom }, signal)
    }
  }
  const createCsr = async (body: string, user: UserInfo) => {
    const csr = JSON.parse(body) as CertificateSigningRequest
    const name = csr.metadata?.name ?? ''
    const refusal = await nodePasswordPlugin.mutate?.(admissionRequest({ ref: CERTIFICATE_SIGNING_REQUESTS, namespace: '', name, object: csr, user }), admissionApi(objects))
    if (refusal) throw new ApiError(refusal)
    const created = await objects.create(CERTIFICATE_SIGNING_REQUESTS, { ...csr, spec: { ...csr.spec, username: user.name, groups: [...user.groups] } })
    await answerCsr(name)
    return created
  }
  const handle = async (method: string, path: string, body: string, bearer: string | undefined, socket: TLSSocket): Promise<{ status: number; body: string }> => {
    if (path === '/version') return { status: 200, body: '{}' }
    const peer = socket.authorized ? socket.getPeerCertificate() : undefined
    if (bearer !== undefined) seen.bearers.push(bearer)
    const who = await authenticator.authenticate({
      remoteAddress: '', ...(bearer !== undefined && { bearer }),
      ...(peer && { certificate: { commonName: String(peer.subject.CN), organizations: [peer.subject.O].flat().map(String) } }),
    })
    if (!who.ok) return { status: 401, body: JSON.stringify({ code: 401, reason: 'Unauthorized', message: 'Unauthorized' }) }
    seen.users.push(who.user.name)
    try {
      const at = /^\/apis\/certificates\.k8s\.io\/v1\/certificatesigningrequests(?:\/([^?]+))?(\?.*watch=true.*fieldSelector=metadata\.name%3D([^&]+).*)?/.exec(path)
      if (method === 'POST') return { status: 201, body: JSON.stringify(await createCsr(body, who.user)) }
      const name = at?.[1] ?? at?.[3] ?? ''
      const object = await objects.get(CERTIFICATE_SIGNING_REQUESTS, name)
      return { status: 200, body: at?.[2] ? `${JSON.stringify({ type: 'MODIFIED', object })}\n` : JSON.stringify(object) }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      return { status: error.code, body: JSON.stringify({ code: error.code, reason: error.reason, message: error.message }) }
    }
  }
  const server = http2.createSecureServer({ allowHTTP1: true, cert: pki.serving.certPem, key: pki.serving.keyPem, ca: pki.authorities.client.certPem, requestCert: true, rejectUnauthorized: false }, (req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (c: Buffer) => chunks.push(c))
    req.on('end', () => {
      const socket = (req.stream?.session?.socket ?? req.socket) as TLSSocket
      handle(req.method, req.url, Buffer.concat(chunks).toString(), req.headers.authorization?.replace(/^Bearer /, ''), socket).then(({ status, body }) => {
        res.writeHead(status, { date: new Date(clock.nowMs()).toUTCString(), 'content-type': 'application/json' })
        res.end(body)
      }, (error: unknown) => {
        res.writeHead(500)
        res.end(JSON.stringify({ code: 500, message: String(error) }))
      })
    })
  })
  const sockets = new Set<TLSSocket>()
  server.on('secureConnection', (s: TLSSocket) => { sockets.add(s); s.once('close', () => sockets.delete(s)) })
  await new Promise<void>((r) => server.listen(0, '127.0.0.1', r))
  t.after(() => {
    for (const s of sockets) s.destroy()
    server.close()
    rmSync(dataDir, { recursive: true })
  })
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`

  const lines: string[] = []
  const stop = new AbortController()
  t.after(() => stop.abort())
  const agent = (over: Partial<JoinOptions> = {}, disk = 'node-a') => joinCluster({
    servers: [url], token: pki.tokens.node, nodeName: 'a', dataDir: join(dataDir, disk), clock, random: systemRandom, signal: stop.signal,
    log: createLog({ format: 'text', level: 'warn', nowMs: () => 0, write: (line) => lines.push(line.replace(/^\S+ /, '')) }), ...over,
  })
  const asNode = (identity: Awaited<ReturnType<typeof joinCluster>>) => {
    const transport = createTlsTransport({ servers: [url], ca: identity.serverCa, serverName: API_SERVER_NAME, clientCertificate: identity.client, clock })
    t.after(() => transport.close())
    return createClient(transport, { userAgent: 'test' })
  }
  return { pki, url, objects, seen, lines, agent, asNode, stop, dir: (disk = 'node-a') => join(dataDir, disk, 'agent') }
}

/** A clock that stands elsewhere; sleeping takes next to no real time and moves it on. */
function skewed(byMs: number): Clock & { jump(ms: number): void } {
  let offset = byMs
  return { ...systemClock, nowMs: () => Date.now() + offset, sleep: (ms, signal) => { offset += ms; return systemClock.sleep(1, signal) }, jump(ms) { offset += ms } }
}

test('a machine joins with the token, keeps its identity, and needs neither token nor server to start again', async (t) => {
  const { agent, dir, seen, pki, objects } = await cluster(t)
  const identity = await agent()
  const [certificate] = parseCertificatesPem(identity.client().cert)
  assert.deepStrictEqual(certificate?.subject, { commonName: 'system:node:a', organizations: ['system:nodes'] })
  assert.deepStrictEqual([certificate.extendedKeyUsages, certificate.notBeforeMs], [['clientAuth'], pki.authorities.client.certificate.notBeforeMs])
  assert.equal(identity.serverCa, pki.authorities.server.certPem)
  assert.equal(identity.serving(), undefined)
  assert.deepStrictEqual([...new Set(seen.bearers)], [`node:${parseToken(pki.tokens.node).secret}`])
  for (const file of ['tls/client-kubelet.pem', 'node-password']) assert.equal((statSync(join(dir(), file)).mode & 0o777).toString(8), '600', file)
  const [csr] = objects.all<CertificateSigningRequest>(CERTIFICATE_SIGNING_REQUESTS)
  assert.deepStrictEqual(csr?.metadata.annotations, {})
  assert.ok(!JSON.stringify(objects.all(SECRETS)).includes(readFileSync(join(dir(), 'node-password'), 'utf8').trim()))

  const again = await agent({ servers: ['https://127.0.0.1:1'], token: undefined })
  assert.deepStrictEqual(again.client(), identity.client())
})

test('the serving certificate comes when the node\'s addresses are known, and again when they change', async (t) => {
  const { agent, asNode, objects, stop } = await cluster(t)
  const identity = await agent()
  objects.put(NODES, { metadata: { name: 'a' }, status: { addresses: [{ type: 'InternalIP', address: '192.0.2.7' }, { type: 'InternalIP', address: '192.0.2.8' }, { type: 'Hostname', address: 'a' }] } })
  const changed = () => new Promise<void>((r) => { const off = identity.onChange(() => { off(); r() }) })
  const first = changed()
  const running = identity.maintain(asNode(identity), () => ({ dnsNames: ['a'], ipAddresses: ['192.0.2.7'] }), stop.signal)
  await first
  const names = () => parseCertificatesPem(identity.serving()?.cert ?? '')[0]?.altNames
  assert.deepStrictEqual(names(), { dnsNames: ['a'], ipAddresses: ['192.0.2.7'], emails: [], uris: [] })
  stop.abort()
  await running
  const restarted = await agent({ signal: new AbortController().signal })
  assert.deepStrictEqual(restarted.serving(), identity.serving())
})

test('both certificates are renewed at two thirds of their life while running', async (t) => {
  const clock = skewed(0)
  const { agent, asNode, objects, stop, seen } = await cluster(t)
  const identity = await agent({ clock })
  objects.put(NODES, { metadata: { name: 'a' }, status: { addresses: [{ type: 'Hostname', address: 'a' }] } })
  const before = identity.client().cert
  const figure = (name: string) => identity.metrics().find((f) => f.name === `kubelet_${name}`)?.samples.find((s) => s.suffix === undefined || s.suffix === '_count')?.value
  assert.deepStrictEqual([figure('certificate_manager_server_ttl_seconds'), figure('certificate_manager_server_rotation_seconds'), Math.round((figure('certificate_manager_client_ttl_seconds') ?? 0) / 86_400)], [Infinity, 0, 365])
  const renewed = new Promise<void>((resolve) => {
    let count = 0
    identity.onChange(() => { if (++count === 3) resolve() })
  })
  const running = identity.maintain(asNode(identity), () => ({ dnsNames: ['a'], ipAddresses: [] }), stop.signal)
  clock.jump(244 * DAY_MS)
  await renewed
  assert.notEqual(identity.client().cert, before)
  assert.ok(seen.users.includes('system:node:a'))
  assert.deepStrictEqual([figure('certificate_manager_server_rotation_seconds'), figure('certificate_manager_client_expiration_renew_errors'), figure('server_expiration_renew_errors')], [1, 0, 0])
  // The signer's clock has not jumped.
  assert.deepStrictEqual(['client', 'server'].map((which) => Math.round((figure(`certificate_manager_${which}_ttl_seconds`) ?? 0) / 86_400)), [365 - 244, 365 - 244])
  stop.abort()
  await running
})

test('the secret is never sent to a server whose CA is not the token\'s', async (t) => {
  const { agent, seen, url } = await cluster(t)
  await assert.rejects(agent({ token: formatToken({ caHash: 'ab'.repeat(32), user: 'node', secret: 'x' }) }), (e: { code?: string; message?: string }) =>
    e.code === 'JOIN_CA_MISMATCH' && (e.message ?? '').startsWith(`${url} is of another cluster than the token`) && (e.message ?? '').includes('no secret was sent'))
  assert.deepStrictEqual(seen.bearers, [])
})

test('a man in the middle who shows the real CA but cannot have its certificate gets nothing', async (t) => {
  const { agent, pki, seen } = await cluster(t)
  // Should the server's CA ever sign for somebody else: only the API's own name counts.
  const { createCertificate, certificatePem, generateKey, privateKeyPem } = await import('#base/x509/index.ts')
  const key = await generateKey()
  const der = createCertificate({ subject: { commonName: 'system:node:evil', organizations: ['system:nodes'] }, notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS, keyUsages: ['digitalSignature'], extendedKeyUsages: ['serverAuth'], altNames: { dnsNames: ['evil'], ipAddresses: ['127.0.0.1'], emails: [], uris: [] } }, { key }, pki.authorities.server, systemRandom)
  const evil = tls.createServer({ cert: certificatePem(der) + pki.authorities.server.certPem, key: privateKeyPem(key) }, (s) => s.end('HTTP/1.1 200 OK\r\n\r\n'))
  await new Promise<void>((r) => evil.listen(0, '127.0.0.1', r))
  t.after(() => evil.close())
  await assert.rejects(agent({ servers: [`https://127.0.0.1:${(evil.address() as AddressInfo).port}`] }), { code: 'JOIN_CA_MISMATCH' })
  assert.deepStrictEqual(seen.bearers, [])
})

test('a wrong secret ends in one clear line; a bare right one joins with a warning', async (t) => {
  const { agent, pki, lines } = await cluster(t)
  const { caHash, secret } = parseToken(pki.tokens.node)
  await assert.rejects(agent({ token: formatToken({ caHash: caHash ?? '', user: 'node', secret: 'guess' }) }), { code: 'JOIN_TOKEN_REFUSED', message: 'the server does not accept this token: take the one in <data-dir>/server/agent-token of a server and pass it as --token' })
  assert.deepStrictEqual(lines, [])
  await agent({ token: secret })
  assert.deepStrictEqual(lines, ['WARN  the token is a bare secret: the cluster CA cannot be verified; use the full token from <data-dir>/server/agent-token'])
})

test('what the user got wrong is a usage error', async (t) => {
  const { agent } = await cluster(t)
  const usage = (message: RegExp) => (e: unknown) => e instanceof UsageError && message.test(e.message)
  await assert.rejects(agent({ token: undefined }), usage(/^this machine has not joined as a yet: pass --token/))
  await assert.rejects(agent({ servers: [] }), usage(/^no server to join: pass --server/))
  await assert.rejects(agent({ servers: ['192.0.2.1'] }), usage(/is not a URL: it must be like https/))
  await assert.rejects(agent({ servers: ['http://192.0.2.1:6443'] }), usage(/must begin with https/))
})

test('a name once taken needs its password: a machine set up anew waits, says how to let it in, and joins after the reset', async (t) => {
  const { agent, objects, lines } = await cluster(t)
  await agent()
  const clock = skewed(0)
  const secondTry = agent({ clock, log: createLog({ format: 'text', level: 'warn', nowMs: () => 0, write: (line) => { lines.push(line); objects.remove(SECRETS, 'a.node-password.skiff', 'kube-system') } }) }, 'reflashed')
  await secondTry
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /cannot join yet: certificatesigningrequests\.certificates\.k8s\.io "node-csr-[0-9a-f]+" is forbidden: node name \\?"a\\?" is taken by a machine with another password; if this machine has been set up anew, let it in with: kubectl -n kube-system delete secret a\.node-password\.skiff/)
  assert.equal(objects.all(SECRETS).length, 1)
})

test('the same machine may join again with its own password, e.g. after its certificate ended', async (t) => {
  const { agent, dir, lines } = await cluster(t)
  const first = await agent()
  rmSync(join(dir(), 'tls'), { recursive: true })
  const second = await agent()
  assert.notEqual(second.client().cert, first.client().cert)
  assert.deepStrictEqual(lines, [])
  writeFileSync(join(dir(), 'tls/client-kubelet.pem'), 'cut off')
  await agent()
})

test('a server that is away is waited for, told once', async (t) => {
  const clock = skewed(0)
  const { agent, url, lines } = await cluster(t)
  const stop = new AbortController()
  let tries = 0
  const counting: Clock = { ...clock, sleep: (ms, signal) => { if (++tries > 3) stop.abort(); return clock.sleep(ms, signal) } }
  await assert.rejects(agent({ servers: ['https://127.0.0.1:1'], clock: counting, signal: stop.signal }))
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /^WARN {2}https:\/\/127\.0\.0\.1:1 cannot be reached: .*ECONNREFUSED.*; trying again$/)
  await agent({ servers: ['https://127.0.0.1:1', url] })
})

test('a clock without battery is told in one sentence and waited for', async (t) => {
  const clock = skewed(-Date.now())
  const { agent, lines } = await cluster(t)
  let looks = 0
  // The time told changes from look to look; the sentence is said once all the same.
  const waiting: Clock = { ...clock, sleep: (ms, signal) => { clock.jump(++looks === 3 ? Date.now() - clock.nowMs() : 5_000); return systemClock.sleep(1, signal) } }
  await agent({ clock: waiting })
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /^WARN {2}this machine's clock says 1970-01-01 00:00:\d\d UTC, the server's \d{4}-.* UTC: waiting for the time to be set \(NTP, or by hand\)$/)
})

test('the token of another cluster makes the node leave the old one and join that', async (t) => {
  const [old, fresh] = [await cluster(t), await cluster(t)]
  const dataDir = mkdtempSync(join(tmpdir(), 'moved-'))
  t.after(() => rmSync(dataDir, { recursive: true }))
  await old.agent({ dataDir })
  const moved = await fresh.agent({ dataDir })
  assert.equal(moved.serverCa, fresh.pki.authorities.server.certPem)
  assert.deepStrictEqual(fresh.lines, ['WARN  the token is of another cluster than the one this node joined: joining that one'])
  assert.ok(existsSync(join(dataDir, 'agent/node-password')))
})
