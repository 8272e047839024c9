import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { CertificateSigningRequest, Stored } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { NO_ALT_NAMES, certificatePem, createCertificate, createRequest, generateKey, parseCertificate, parseRequest, type AltNames, type Issuer } from '#base/x509/index.ts'
import { issue } from './apply.ts'
import { decideCertificate, type CertificateView } from './decide.ts'
import { KUBELET_CLIENT, KUBELET_SERVING, KUBE_APISERVER_CLIENT, signerProblem } from './signers.ts'

const NOW = Date.UTC(2026, 10, 20)
const HOUR_MS = 3_600_000
const key = await generateKey()
const ctx = { nowMs: NOW, random: seededRandom(1) }
const iso = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`

function requestOf(commonName: string, organizations: string[], altNames: Partial<AltNames> = {}) {
  return parseRequest(createRequest({ commonName, organizations }, { ...NO_ALT_NAMES, ...altNames }, key))
}

interface Given { signer?: string; username?: string; groups?: string[]; status?: CertificateSigningRequest['status']; usages?: string[]; expirationSeconds?: number; ageMs?: number; view?: Partial<CertificateView> }

function view(given: Given = {}): CertificateView {
  const signer = given.signer ?? KUBELET_CLIENT
  const serving = signer === KUBELET_SERVING
  const csr: Stored<CertificateSigningRequest> = {
    metadata: { name: 'csr', uid: 'u', resourceVersion: '1', creationTimestamp: iso(NOW - (given.ageMs ?? 0)) },
    spec: {
      request: '', signerName: signer, username: given.username ?? (serving ? 'system:node:a' : 'system:bootstrap:skiff-node'), groups: given.groups ?? (serving ? ['system:nodes'] : []),
      usages: given.usages ?? ['digital signature', serving ? 'server auth' : 'client auth'], ...(given.expirationSeconds !== undefined && { expirationSeconds: given.expirationSeconds }),
    },
    ...(given.status && { status: given.status }),
  }
  return { csr, request: requestOf('system:node:a', ['system:nodes'], serving ? { dnsNames: ['a'], ipAddresses: ['192.0.2.7'] } : {}), mayRequest: undefined, node: undefined, issuedUntilMs: undefined, ...given.view }
}

const APPROVED = { type: 'Approved', status: 'True', lastUpdateTime: iso(NOW) }
const condition = (type: string, reason: string, message: string) => ({ type, status: 'True', reason, message, lastUpdateTime: iso(NOW), lastTransitionTime: iso(NOW) })

test('a node\'s client certificate is approved for who may ask for any, or for itself', () => {
  const decide = (given: Given) => decideCertificate(view(given), ctx)
  const approved = (message: string) => ({ actions: [{ kind: 'approve', condition: condition('Approved', 'AutoApproved', message) }], because: message, wakeAtMs: NOW + 24 * HOUR_MS })
  assert.deepStrictEqual(decide({ view: { mayRequest: { nodeclient: true, selfnodeclient: false } } }), approved('Auto approving kubelet client certificate after SubjectAccessReview.'))
  assert.deepStrictEqual(decide({ username: 'system:node:a', view: { mayRequest: { nodeclient: false, selfnodeclient: true } } }), approved('Auto approving self kubelet client certificate after SubjectAccessReview.'))
  assert.deepStrictEqual(decide({ username: 'system:node:b', view: { mayRequest: { nodeclient: false, selfnodeclient: true } } }).actions, [])
  assert.deepStrictEqual(decide({ view: { mayRequest: { nodeclient: false, selfnodeclient: false } } }), { actions: [], because: 'the subject access review of system:bootstrap:skiff-node was not approved', wakeAtMs: NOW + 24 * HOUR_MS })
  assert.deepStrictEqual(decide({ usages: ['client auth'], view: { mayRequest: { nodeclient: true, selfnodeclient: true } } }).actions, [])
})

test('a serving certificate is approved only for the node itself and only for its own addresses', () => {
  const node = { status: { addresses: [{ type: 'InternalIP', address: '192.0.2.7' }, { type: 'InternalIP', address: 'FD00:0::1' }, { type: 'Hostname', address: 'board' }] } }
  const decide = (altNames: Partial<AltNames>, given: Given = {}) => decideCertificate(view({ signer: KUBELET_SERVING, ...given, view: { node, request: requestOf('system:node:a', ['system:nodes'], altNames), ...given.view } }), ctx)
  assert.deepStrictEqual(decide({ dnsNames: ['a', 'board'], ipAddresses: ['192.0.2.7', 'fd00::1'] }).actions.map((a) => a.kind), ['approve'])
  assert.deepStrictEqual([
    decide({ ipAddresses: ['192.0.2.7', '192.0.2.99'] }), decide({ dnsNames: ['kubernetes'] }), decide({ dnsNames: ['a'] }, { username: 'system:node:b' }), decide({ dnsNames: ['a'] }, { groups: [] }), decide({ dnsNames: ['a'] }, { view: { node: undefined } }),
  ].map(({ actions, because }) => [actions.length, because]), [
    [0, "waits: 192.0.2.99 is not among the node's addresses"], [0, "waits: kubernetes is not among the node's addresses"],
    [0, 'a serving certificate is approved for the node itself only'], [0, 'a serving certificate is approved for the node itself only'], [0, 'waits for the Node object'],
  ])
})

test('what people approve is signed, for as long as asked within bounds; what does not fit the signer fails with upstream\'s words', () => {
  const sign = (given: Given) => decideCertificate(view({ signer: KUBE_APISERVER_CLIENT, status: { conditions: [APPROVED as never] }, ...given, view: { request: requestOf('jane', ['dev']), ...given.view } }), ctx)
  const life = (seconds?: number) => sign(seconds === undefined ? {} : { expirationSeconds: seconds }).actions.map((a) => (a.kind === 'sign' ? a.lifeSeconds : a.kind))
  assert.deepStrictEqual([life(), life(3600), life(1), life(1e9)], [[31_536_000], [3600], [600], [31_536_000]])
  assert.deepStrictEqual(sign({ usages: ['server auth'] }), { actions: [{ kind: 'fail', condition: condition('Failed', 'SignerValidationFailure', 'invalid usage for client certificate: server auth') }], because: 'invalid usage for client certificate: server auth' })
  assert.deepStrictEqual(decideCertificate(view({ signer: KUBE_APISERVER_CLIENT }), ctx), { actions: [], because: 'waits for somebody to approve it', wakeAtMs: NOW + 24 * HOUR_MS })
  assert.deepStrictEqual(sign({ signer: 'example.com/own' }), { actions: [], because: 'another signer answers it' })
  assert.deepStrictEqual(sign({ view: { request: { ...requestOf('jane', []), isSignatureValid: false } } }).because, 'the signature of the certificate request is not valid')
})

test('signers refuse as upstream\'s do', () => {
  const node = (altNames: Partial<AltNames> = {}, cn = 'system:node:a', o = ['system:nodes']) => requestOf(cn, o, altNames)
  const client = ['digital signature', 'client auth']
  const serving = ['digital signature', 'key encipherment', 'server auth']
  const cases: [string, ReturnType<typeof node>, string[], string | undefined][] = [
    [KUBELET_CLIENT, node(), client, undefined],
    [KUBELET_CLIENT, node({}, 'a'), client, 'subject common name does not begin with system:node:'],
    [KUBELET_CLIENT, node({}, 'system:node:a', ['system:nodes', 'system:masters']), client, 'subject organization is not system:nodes'],
    [KUBELET_CLIENT, node({ dnsNames: ['a'] }), client, 'DNS subjectAltNames are not allowed'],
    [KUBELET_CLIENT, node({ ipAddresses: ['::1'] }), client, 'IP subjectAltNames are not allowed'],
    [KUBELET_CLIENT, node(), ['client auth'], 'usages did not match [client auth digital signature key encipherment]'],
    [KUBELET_SERVING, node(), serving, 'DNS or IP subjectAltName is required'],
    [KUBELET_SERVING, node({ dnsNames: ['a'] }), serving, undefined],
    [KUBELET_SERVING, node({ dnsNames: ['a'], uris: ['spiffe://x'] }), serving, 'URI subjectAltNames are not allowed'],
    [KUBE_APISERVER_CLIENT, node(), ['digital signature'], 'missing required usage for client certificate: client auth'],
  ]
  for (const [signer, request, usages, want] of cases) assert.equal(signerProblem(signer, request, usages), want)
})

test('requests are removed when nobody needs them any more, and looked at again just then', () => {
  const conditions = (type: string, ageMs: number) => ({ conditions: [{ type, status: 'True', lastUpdateTime: iso(NOW - ageMs) }] })
  const decide = (given: Given) => {
    const { actions, wakeAtMs, because } = decideCertificate(view({ signer: KUBE_APISERVER_CLIENT, ...given }), ctx)
    return actions[0]?.kind === 'delete' ? because : (wakeAtMs ?? 'for ever')
  }
  assert.deepStrictEqual([
    decide({ ageMs: 24 * HOUR_MS }), decide({ ageMs: 23 * HOUR_MS }), decide({ status: conditions('Denied', HOUR_MS) }), decide({ status: conditions('Denied', 0) }), decide({ status: conditions('Failed', HOUR_MS) }),
    decide({ status: { ...conditions('Approved', HOUR_MS), certificate: 'x' } }), decide({ status: { ...conditions('Approved', 0), certificate: 'x' }, view: { issuedUntilMs: NOW - 1 } }),
  ], ['nobody answered it for a day', NOW + HOUR_MS, 'denied an hour ago', NOW + HOUR_MS, 'failed an hour ago', 'approved an hour ago', 'its certificate has expired'])
})

test('issued certificates carry the requested subject, names and usages, back-dated for nodes, and openssl accepts them', async () => {
  const ca = async (commonName: string): Promise<Issuer> => {
    const caKey = await generateKey()
    return { key: caKey, certificate: parseCertificate(createCertificate({ subject: { commonName, organizations: [] }, notBeforeMs: NOW - 1000 * HOUR_MS, notAfterMs: NOW + 100_000 * HOUR_MS, isCa: true, keyUsages: ['certSign'] }, { key: caKey }, { selfSigned: caKey }, seededRandom(1))) }
  }
  const authorities = { client: await ca('client'), kubeletServing: await ca('kubelets') }
  const sign = (signerName: string, request: ReturnType<typeof requestOf>, usages: string[], lifeSeconds: number) => parseCertificate(issue({ kind: 'sign', signerName, request, usages, lifeSeconds }, NOW, seededRandom(2), authorities))
  const user = sign(KUBE_APISERVER_CLIENT, requestOf('jane', ['dev']), ['digital signature', 'key encipherment', 'client auth'], 3600)
  assert.deepStrictEqual([user.subject, user.keyUsages, user.extendedKeyUsages, user.notBeforeMs, user.notAfterMs, user.issuer.commonName], [{ commonName: 'jane', organizations: ['dev'] }, ['digitalSignature', 'keyEncipherment'], ['clientAuth'], NOW - 300_000, NOW + 3_600_000, 'client'])
  assert.equal(sign(KUBE_APISERVER_CLIENT, requestOf('jane', []), ['client auth'], 86_400).notAfterMs, NOW + 86_400_000 - 300_000)
  const serving = sign(KUBELET_SERVING, requestOf('system:node:a', ['system:nodes'], { ipAddresses: ['192.0.2.7'] }), ['digital signature', 'server auth'], 3600)
  assert.deepStrictEqual([serving.altNames.ipAddresses, serving.notBeforeMs, serving.issuer.commonName], [['192.0.2.7'], authorities.kubeletServing.certificate.notBeforeMs, 'kubelets'])
  assert.equal(sign(KUBELET_CLIENT, requestOf('system:node:a', ['system:nodes']), ['client auth'], 1e9).notAfterMs, authorities.client.certificate.notAfterMs)
  const dir = mkdtempSync(join(tmpdir(), 'csr-'))
  try {
    writeFileSync(join(dir, 'ca.crt'), certificatePem(authorities.client.certificate.der))
    writeFileSync(join(dir, 'user.crt'), certificatePem(user.der))
    assert.equal(execFileSync('openssl', ['verify', '-attime', String(NOW / 1000), '-purpose', 'sslclient', '-CAfile', 'ca.crt', 'user.crt'], { cwd: dir, encoding: 'utf8' }), 'user.crt: OK\n')
  } finally {
    rmSync(dir, { recursive: true })
  }
})
