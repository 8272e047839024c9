import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { hasCode } from '../errors.ts'
import { seededRandom } from '../random.ts'
import { DER_BYTES_MAX, readDer, readTime, time } from './der.ts'
import {
  NO_ALT_NAMES, certificatePem, createCertificate, createRequest, generateKey, ipBytes, ipText, isIssuedBy, parseCertificate, parseCertificatesPem,
  parsePem, parsePrivateKey, parseRequest, privateKeyPem, spkiOf, toPem, type Issuer,
} from './index.ts'

// The library's dependency injector asks for reflect-metadata, which it does not bring; three functions are all it calls.
const metadata = new WeakMap<object, Map<unknown, unknown>>()
Object.assign(Reflect, {
  getMetadata: (key: unknown, target: object) => metadata.get(target)?.get(key),
  getOwnMetadata: (key: unknown, target: object) => metadata.get(target)?.get(key),
  defineMetadata: (key: unknown, value: unknown, target: object) => metadata.set(target, (metadata.get(target) ?? new Map()).set(key, value)),
})
const peculiar = await import('@peculiar/x509')

const random = seededRandom(1)
const NOT_BEFORE = Date.UTC(2026, 0, 1)
const NOT_AFTER = Date.UTC(2055, 5, 30, 12, 30, 15)

async function makeCa(name = 'skiff-server-ca'): Promise<Issuer> {
  const key = await generateKey()
  const der = createCertificate({ subject: { commonName: name, organizations: [] }, notBeforeMs: NOT_BEFORE, notAfterMs: NOT_AFTER, isCa: true, keyUsages: ['digitalSignature', 'keyEncipherment', 'certSign'] }, { key }, { selfSigned: key }, random)
  return { certificate: parseCertificate(der), key }
}

async function makeLeaf(ca: Issuer) {
  const key = await generateKey()
  const der = createCertificate({
    subject: { commonName: 'kube-apiserver', organizations: ['system:masters', 'zweite ü'] },
    notBeforeMs: NOT_BEFORE, notAfterMs: NOT_AFTER, keyUsages: ['digitalSignature', 'keyEncipherment'], extendedKeyUsages: ['serverAuth', 'clientAuth'],
    altNames: { dnsNames: ['kubernetes', 'kubernetes.default.svc'], ipAddresses: ['10.43.0.1', 'fd00::1'], emails: ['a@b.example'], uris: ['spiffe://x/y'] },
  }, { key }, ca, random)
  return { key, der }
}

test('what is written is read back, by this reader, node and @peculiar/x509 alike', async () => {
  const ca = await makeCa()
  const { der, key } = await makeLeaf(ca)
  const own = parseCertificate(der)
  assert.deepStrictEqual(
    { subject: own.subject, issuer: own.issuer, notBeforeMs: own.notBeforeMs, notAfterMs: own.notAfterMs, isCa: own.isCa, keyUsages: own.keyUsages, extendedKeyUsages: own.extendedKeyUsages, altNames: own.altNames, spki: own.spki },
    {
      subject: { commonName: 'kube-apiserver', organizations: ['system:masters', 'zweite ü'] }, issuer: { commonName: 'skiff-server-ca', organizations: [] },
      notBeforeMs: NOT_BEFORE, notAfterMs: NOT_AFTER, isCa: false, keyUsages: ['digitalSignature', 'keyEncipherment'], extendedKeyUsages: ['serverAuth', 'clientAuth'],
      altNames: { dnsNames: ['kubernetes', 'kubernetes.default.svc'], ipAddresses: ['10.43.0.1', 'fd00::1'], emails: ['a@b.example'], uris: ['spiffe://x/y'] }, spki: spkiOf(key),
    },
  )
  const node = new X509Certificate(der)
  assert.equal(node.subject, 'O=system:masters\nO=zweite ü\nCN=kube-apiserver')
  assert.equal(node.subjectAltName, 'DNS:kubernetes, DNS:kubernetes.default.svc, email:a@b.example, URI:spiffe://x/y, IP Address:10.43.0.1, IP Address:FD00:0:0:0:0:0:0:1')
  assert.deepStrictEqual([node.ca, node.serialNumber.toLowerCase(), node.validToDate.getTime()], [false, own.serial, NOT_AFTER])
  assert.equal(node.verify(new X509Certificate(ca.certificate.der).publicKey), true)
  assert.equal(node.checkIssued(new X509Certificate(ca.certificate.der)), true)
  const other = new peculiar.X509Certificate(der)
  assert.equal(other.getExtension(peculiar.KeyUsagesExtension)?.usages, peculiar.KeyUsageFlags.digitalSignature | peculiar.KeyUsageFlags.keyEncipherment)
  assert.equal(Buffer.from(other.getExtension(peculiar.SubjectKeyIdentifierExtension)?.keyId ?? '', 'hex').equals(own.subjectKeyId ?? Buffer.alloc(0)), true)
  assert.equal(other.getExtension(peculiar.AuthorityKeyIdentifierExtension)?.keyId, ca.certificate.subjectKeyId?.toString('hex'))
  assert.equal(other.getExtension(peculiar.BasicConstraintsExtension)?.critical, true)
})

test('a certificate counts as issued only by the CA whose key signed it', async () => {
  const [ca, namesake] = [await makeCa(), await makeCa()]
  const { der } = await makeLeaf(ca)
  const leaf = parseCertificate(der)
  assert.deepStrictEqual([isIssuedBy(leaf, ca.certificate), isIssuedBy(leaf, namesake.certificate), isIssuedBy(ca.certificate, leaf), isIssuedBy(ca.certificate, ca.certificate)], [true, false, false, true])
})

test('openssl verifies the chain, the purposes and the request', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'x509-'))
  try {
    const ca = await makeCa()
    const { der, key } = await makeLeaf(ca)
    const request = createRequest({ commonName: 'system:node:a', organizations: ['system:nodes'] }, { ...NO_ALT_NAMES, dnsNames: ['a'], ipAddresses: ['192.0.2.1'] }, key)
    for (const [name, text] of Object.entries({ 'ca.crt': certificatePem(ca.certificate.der), 'leaf.crt': certificatePem(der), 'leaf.key': privateKeyPem(key), 'node.csr': request })) writeFileSync(join(dir, name), text)
    const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    for (const purpose of ['sslserver', 'sslclient']) assert.equal(openssl('verify', '-x509_strict', '-attime', String(NOT_BEFORE / 1000 + 60), '-purpose', purpose, '-CAfile', 'ca.crt', 'leaf.crt'), 'leaf.crt: OK\n')
    assert.match(openssl('req', '-in', 'node.csr', '-noout', '-verify', '-text'), /O = system:nodes, CN = system:node:a[\s\S]*DNS:a, IP Address:192\.0\.2\.1/)
    assert.equal(openssl('pkey', '-in', 'leaf.key', '-pubout', '-outform', 'PEM').trim(), toPem('PUBLIC KEY', spkiOf(key)).trim())
  } finally {
    rmSync(dir, { recursive: true })
  }
})

test('requests made by openssl with other kinds of keys and multi-valued names are read and verified', () => {
  const dir = mkdtempSync(join(tmpdir(), 'x509-'))
  try {
    const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    for (const kind of [['rsa:2048'], ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'], ['ed25519']]) {
      openssl('req', '-new', '-newkey', ...kind, '-nodes', '-keyout', 'k.pem', '-out', 'r.csr', '-multivalue-rdn', '-subj', '/O=dev+O=ops/CN=jane', '-addext', 'subjectAltName=DNS:x.example')
      const parsed = parseRequest(openssl('req', '-in', 'r.csr'))
      assert.deepStrictEqual({ subject: { ...parsed.subject, organizations: [...parsed.subject.organizations].sort() }, altNames: parsed.altNames, ok: parsed.isSignatureValid }, { subject: { commonName: 'jane', organizations: ['dev', 'ops'] }, altNames: { ...NO_ALT_NAMES, dnsNames: ['x.example'] }, ok: true }, String(kind[0]))
    }
  } finally {
    rmSync(dir, { recursive: true })
  }
})

test('requests are taken with old and with padded signatures, as Go takes them', () => {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-x509-'))
  try {
    const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'pipe', 'ignore'] }).toString()
    openssl('genrsa', '-out', 'rsa.key', '2048')
    openssl('ecparam', '-genkey', '-name', 'prime256v1', '-out', 'ec.key')
    const signed = (key: string, ...options: string[]) => parseRequest(openssl('req', '-new', '-key', `${key}.key`, '-subj', '/CN=jane', ...options)).isSignatureValid
    const pss = (digest: string, salt: string, mask = digest) => signed('rsa', `-${digest}`, '-sigopt', 'rsa_padding_mode:pss', '-sigopt', `rsa_pss_saltlen:${salt}`, '-sigopt', `rsa_mgf1_md:${mask}`)
    assert.deepEqual([signed('rsa', '-sha1'), signed('ec', '-sha1'), pss('sha256', '32'), pss('sha384', '48'), pss('sha512', '64')], [true, true, true, true, true])
    // A salt of another length, another hash for the mask, SHA-1 with padding, MD5.
    assert.deepEqual([pss('sha256', '20'), pss('sha256', '32', 'sha384'), pss('sha1', '20'), signed('rsa', '-md5')], [false, false, false, false])
    const ca = parseCertificate(Buffer.from(openssl('req', '-x509', '-new', '-key', 'rsa.key', '-subj', '/CN=ca', '-sha1', '-days', '2').replace(/-----[^-]+-----|\s/g, ''), 'base64'))
    assert.equal(isIssuedBy(ca, ca), false, 'a certificate signed with SHA-1 proves nothing')
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a request whose contents were changed after signing is not valid', async () => {
  const key = await generateKey()
  const pem = createRequest({ commonName: 'system:node:a', organizations: ['system:nodes'] }, NO_ALT_NAMES, key)
  const bytes = parsePem(pem)[0]?.bytes ?? Buffer.alloc(0)
  const at = bytes.indexOf('system:node:a')
  bytes[at + 12] = 'b'.charCodeAt(0)
  const parsed = parseRequest(toPem('CERTIFICATE REQUEST', bytes))
  assert.deepStrictEqual([parsed.subject.commonName, parsed.isSignatureValid], ['system:node:b', false])
})

test('damaged input always ends in X509_MALFORMED or a value, never in another error', async () => {
  const ca = await makeCa()
  const { der } = await makeLeaf(ca)
  const csr = parsePem(createRequest({ commonName: 'x', organizations: ['y'] }, { ...NO_ALT_NAMES, dnsNames: ['d'] }, await generateKey()))[0]?.bytes ?? Buffer.alloc(0)
  const parse = (fn: () => unknown) => {
    try {
      fn()
    } catch (error) {
      assert.ok(hasCode(error, 'X509_MALFORMED'), String(error))
    }
  }
  fc.assert(fc.property(fc.nat({ max: der.length - 1 }), fc.nat({ max: 255 }), fc.boolean(), (at, byte, cut) => {
    const damage = (input: Buffer) => {
      const copy = Buffer.from(input)
      copy[at % copy.length] = byte
      return cut ? copy.subarray(0, at % copy.length) : copy
    }
    parse(() => isIssuedBy(parseCertificate(damage(der)), ca.certificate))
    parse(() => parseRequest(toPem('CERTIFICATE REQUEST', damage(csr))))
  }), { numRuns: 1500, seed: 7 })
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => parse(() => parseCertificate(Buffer.from(bytes)))), { numRuns: 500, seed: 8 })
})

test('oversized, nested and endless encodings are refused at once', () => {
  const refused = (bytes: Buffer) => assert.throws(() => readDer(bytes), { code: 'X509_MALFORMED' })
  refused(Buffer.alloc(DER_BYTES_MAX + 1, 0x30))
  refused(Buffer.from([0x30, 0x80, 0, 0]))
  refused(Buffer.from([0x30, 0x84, 0xff, 0xff, 0xff, 0xff]))
  refused(Buffer.from([0x30, 0x81, 0x01, 0x00]))
  refused(Buffer.from([0x30]))
  assert.throws(() => parsePem('-----BEGIN X-----\nAAAA'), { code: 'X509_MALFORMED' })
  assert.throws(() => parsePem('-----BEGIN X-----\n!!!!\n-----END X-----\n'), { code: 'X509_MALFORMED' })
  assert.throws(() => parseCertificatesPem('nothing here'), { code: 'X509_MALFORMED' })
  assert.throws(() => parsePrivateKey('nothing here'), { code: 'X509_MALFORMED' })
})

test('times and addresses survive a round trip', () => {
  fc.assert(fc.property(fc.integer({ min: Date.UTC(1950, 0, 1) / 1000, max: Date.UTC(9999, 11, 31) / 1000 }), (seconds) => readTime(readDer(time(seconds * 1000))) === seconds * 1000))
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 })), (bytes) => ipBytes(ipText(Buffer.from(bytes))).equals(Buffer.from(bytes))))
  assert.deepStrictEqual(['fd00::1', '::', '::1', '1::', 'fe80::1:0:0:1', '2001:db8:0:1:1:1:1:1'].map((ip) => ipText(ipBytes(ip))), ['fd00::1', '::', '::1', '1::', 'fe80::1:0:0:1', '2001:db8:0:1:1:1:1:1'])
  assert.equal(ipText(ipBytes('::ffff:1.2.3.4')), '::ffff:102:304')
  for (const bad of ['', '1.2.3', '1.2.3.4.5', 'fe80::1%eth0', 'x']) assert.throws(() => ipBytes(bad), { code: 'X509_MALFORMED' })
})
