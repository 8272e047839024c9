/** X.509 v3 certificates (RFC 5280): making, reading, and checking that one was signed by another. */
import { createHash } from 'node:crypto'
import type { Random } from '../random.ts'
import { TAG, bitString, boolean, childrenOf, context, contextPrimitive, expectTag, integer, malformed, octets, oid, readDer, readOid, readTime, sequence, time, type DerValue } from './der.ts'
import { SIGNATURE_ALGORITHM, isSignatureValid, keyIdentifier, publicKeyFromSpki, signDer, spkiOf, type KeyObject } from './keys.ts'
import { NO_ALT_NAMES, decodeAltNames, decodeSubject, encodeAltNames, encodeSubject, isEmptyAltNames, type AltNames, type Subject } from './names.ts'
import { parsePem, toPem } from './pem.ts'

/** Bit numbers of RFC 5280 4.2.1.3. */
const KEY_USAGE_BITS = { digitalSignature: 0, contentCommitment: 1, keyEncipherment: 2, dataEncipherment: 3, keyAgreement: 4, certSign: 5, crlSign: 6, encipherOnly: 7, decipherOnly: 8 } as const
export type KeyUsage = keyof typeof KEY_USAGE_BITS

const EXTENDED_KEY_USAGES = {
  any: '2.5.29.37.0', serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2', codeSigning: '1.3.6.1.5.5.7.3.3', emailProtection: '1.3.6.1.5.5.7.3.4',
  ipsecEndSystem: '1.3.6.1.5.5.7.3.5', ipsecTunnel: '1.3.6.1.5.5.7.3.6', ipsecUser: '1.3.6.1.5.5.7.3.7', timestamping: '1.3.6.1.5.5.7.3.8', ocspSigning: '1.3.6.1.5.5.7.3.9',
  microsoftSgc: '1.3.6.1.4.1.311.10.3.3', netscapeSgc: '2.16.840.1.113730.4.1',
} as const
export type ExtendedKeyUsage = keyof typeof EXTENDED_KEY_USAGES

const EXT = { subjectKeyId: '2.5.29.14', keyUsage: '2.5.29.15', altNames: '2.5.29.17', basicConstraints: '2.5.29.19', authorityKeyId: '2.5.29.35', extendedKeyUsage: '2.5.29.37' } as const

export interface CertificateTemplate {
  subject: Subject
  notBeforeMs: number
  notAfterMs: number
  isCa?: boolean
  keyUsages: readonly KeyUsage[]
  extendedKeyUsages?: readonly ExtendedKeyUsage[]
  altNames?: AltNames
}

export interface Certificate {
  der: Buffer
  subject: Subject
  issuer: Subject
  /** Exactly as written: what a child's issuer must equal byte by byte. */
  subjectDer: Buffer
  issuerDer: Buffer
  notBeforeMs: number
  notAfterMs: number
  /** Hex. */
  serial: string
  isCa: boolean
  keyUsages: readonly KeyUsage[]
  extendedKeyUsages: readonly ExtendedKeyUsage[]
  altNames: AltNames
  subjectKeyId: Buffer | undefined
  spki: Buffer
  tbs: Buffer
  signatureAlgorithm: DerValue
  signature: Buffer
}

/** A certificate with its private key: able to sign. */
export interface Issuer { certificate: Certificate; key: KeyObject }

/** DER. `issuer` undefined: signed by `key`, its own. Random gives the serial number. */
export function createCertificate(template: CertificateTemplate, subjectKey: { spki: Buffer } | { key: KeyObject }, issuer: Issuer | { selfSigned: KeyObject }, random: Random): Buffer {
  const spki = 'spki' in subjectKey ? subjectKey.spki : spkiOf(subjectKey.key)
  const subjectDer = encodeSubject(template.subject)
  const subjectKeyId = keyIdentifier(publicKeyBits(readDer(spki)))
  const signer = 'selfSigned' in issuer
    ? { key: issuer.selfSigned, nameDer: subjectDer, keyId: subjectKeyId }
    : { key: issuer.key, nameDer: issuer.certificate.subjectDer, keyId: issuer.certificate.subjectKeyId }
  const tbs = sequence(
    context(0, integer(Buffer.from([2]))),
    integer(serialNumber(random)),
    SIGNATURE_ALGORITHM,
    signer.nameDer,
    sequence(time(template.notBeforeMs), time(template.notAfterMs)),
    subjectDer,
    spki,
    context(3, sequence(...extensions(template, subjectKeyId, signer.keyId))),
  )
  return sequence(tbs, SIGNATURE_ALGORITHM, bitString(signDer(tbs, signer.key)))
}

function extensions(template: CertificateTemplate, subjectKeyId: Buffer, authorityKeyId: Buffer | undefined): Buffer[] {
  const extension = (id: string, critical: boolean, value: Buffer) => sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value))
  const altNames = template.altNames ?? NO_ALT_NAMES
  const list: Buffer[] = []
  if (template.keyUsages.length > 0) list.push(extension(EXT.keyUsage, true, keyUsageBits(template.keyUsages)))
  if (template.extendedKeyUsages?.length) list.push(extension(EXT.extendedKeyUsage, false, sequence(...template.extendedKeyUsages.map((u) => oid(EXTENDED_KEY_USAGES[u])))))
  list.push(extension(EXT.basicConstraints, true, template.isCa ? sequence(boolean(true)) : sequence()))
  list.push(extension(EXT.subjectKeyId, false, octets(subjectKeyId)))
  if (authorityKeyId) list.push(extension(EXT.authorityKeyId, false, sequence(contextPrimitive(0, authorityKeyId))))
  // RFC 5280 4.2.1.6: critical when the subject is empty.
  if (!isEmptyAltNames(altNames)) list.push(extension(EXT.altNames, template.subject.commonName === '' && template.subject.organizations.length === 0, encodeAltNames(altNames)))
  return list
}

/** A named bit list: trailing zero bits are dropped (X.690 11.2.2). */
function keyUsageBits(usages: readonly KeyUsage[]): Buffer {
  const numbers = usages.map((u) => KEY_USAGE_BITS[u])
  const highest = Math.max(...numbers)
  const bytes = Buffer.alloc(Math.floor(highest / 8) + 1)
  for (const n of numbers) bytes[Math.floor(n / 8)] = (bytes[Math.floor(n / 8)] ?? 0) | (0x80 >> (n % 8))
  return bitString(bytes, 7 - (highest % 8))
}

/** 127 random bits, never zero, positive (RFC 5280 4.1.2.2 allows 20 octets). */
function serialNumber(random: Random): Buffer {
  const bytes = random.bytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01
  return bytes
}

/** Throws X509_MALFORMED. */
export function parseCertificate(input: Buffer): Certificate {
  const [tbs, signatureAlgorithm, signature] = childrenOf(expectTag(readDer(input), TAG.sequence, 'certificate'))
  const fields = childrenOf(expectTag(tbs, TAG.sequence, 'certificate body'))
  if (fields[0]?.tag === 0xa0) fields.shift()
  const [serial, , issuer, validity, subject, spki, ...optional] = fields
  const [notBefore, notAfter] = childrenOf(expectTag(validity, TAG.sequence, 'validity'))
  const issuerName = expectTag(issuer, TAG.sequence, 'issuer')
  const subjectName = expectTag(subject, TAG.sequence, 'subject')
  const extensionList = optional.find((o) => o.tag === 0xa3)
  return {
    der: input,
    subject: decodeSubject(subjectName),
    issuer: decodeSubject(issuerName),
    subjectDer: subjectName.raw,
    issuerDer: issuerName.raw,
    notBeforeMs: readTime(notBefore),
    notAfterMs: readTime(notAfter),
    serial: expectTag(serial, TAG.integer, 'serial number').value.toString('hex'),
    ...readExtensions(extensionList ? childrenOf(expectTag(childrenOf(extensionList)[0], TAG.sequence, 'extensions')) : []),
    spki: expectTag(spki, TAG.sequence, 'public key').raw,
    tbs: expectTag(tbs, TAG.sequence, 'certificate body').raw,
    signatureAlgorithm: expectTag(signatureAlgorithm, TAG.sequence, 'signature algorithm'),
    signature: wholeBits(expectTag(signature, TAG.bitString, 'signature')),
  }
}

type ExtensionFields = Pick<Certificate, 'isCa' | 'keyUsages' | 'extendedKeyUsages' | 'altNames' | 'subjectKeyId'>

/** Shared with certificate requests, whose extensionRequest attribute holds the same list. */
export function readExtensions(list: readonly DerValue[]): ExtensionFields {
  const fields: ExtensionFields = { isCa: false, keyUsages: [], extendedKeyUsages: [], altNames: NO_ALT_NAMES, subjectKeyId: undefined }
  for (const extension of list) {
    const parts = childrenOf(expectTag(extension, TAG.sequence, 'extension'))
    const id = readOid(expectTag(parts[0], TAG.oid, 'extension id'))
    const value = expectTag(parts.at(-1), TAG.octetString, 'extension value').value
    if (id === EXT.basicConstraints) fields.isCa = childrenOf(expectTag(readDer(value), TAG.sequence, 'basic constraints')).some((c) => c.tag === TAG.boolean && c.value[0] !== 0)
    else if (id === EXT.keyUsage) fields.keyUsages = readKeyUsages(expectTag(readDer(value), TAG.bitString, 'key usage'))
    else if (id === EXT.extendedKeyUsage) fields.extendedKeyUsages = readExtendedKeyUsages(readDer(value))
    else if (id === EXT.altNames) fields.altNames = decodeAltNames(readDer(value))
    else if (id === EXT.subjectKeyId) fields.subjectKeyId = expectTag(readDer(value), TAG.octetString, 'subject key id').value
  }
  return fields
}

function readKeyUsages(bits: DerValue): KeyUsage[] {
  const bytes = bits.value.subarray(1)
  return (Object.keys(KEY_USAGE_BITS) as KeyUsage[]).filter((usage) => {
    const n = KEY_USAGE_BITS[usage]
    return ((bytes[Math.floor(n / 8)] ?? 0) & (0x80 >> (n % 8))) !== 0
  })
}

function readExtendedKeyUsages(list: DerValue): ExtendedKeyUsage[] {
  const ids = childrenOf(expectTag(list, TAG.sequence, 'extended key usage')).map((u) => readOid(expectTag(u, TAG.oid, 'extended key usage')))
  return (Object.keys(EXTENDED_KEY_USAGES) as ExtendedKeyUsage[]).filter((usage) => ids.includes(EXTENDED_KEY_USAGES[usage]))
}

/** The bits of a SubjectPublicKeyInfo's key. */
function publicKeyBits(spki: DerValue): Buffer {
  return wholeBits(expectTag(childrenOf(expectTag(spki, TAG.sequence, 'public key'))[1], TAG.bitString, 'public key bits'))
}

export function wholeBits(value: DerValue): Buffer {
  if (value.value[0] !== 0) throw malformed('bit string is not whole bytes')
  return value.value.subarray(1)
}

/** True when `ca` is a CA whose name and key signed `certificate`. Says nothing of time. */
export function isIssuedBy(certificate: Certificate, ca: Certificate): boolean {
  return ca.isCa && certificate.issuerDer.equals(ca.subjectDer) && isSignatureValid(certificate.signatureAlgorithm, certificate.tbs, certificate.signature, publicKeyFromSpki(ca.spki))
}

/** All certificates of a PEM text, in order. Throws X509_MALFORMED; also when there is none. */
export function parseCertificatesPem(pem: string): Certificate[] {
  const certificates = parsePem(pem).filter((b) => b.label === 'CERTIFICATE').map((b) => parseCertificate(b.bytes))
  if (certificates.length === 0) throw malformed('no PEM block CERTIFICATE')
  return certificates
}

export function certificatePem(der: Buffer): string {
  return toPem('CERTIFICATE', der)
}

/** SHA-256 of the DER, lower-case hex: what tokens carry of the cluster CA. */
export function fingerprint(der: Buffer): string {
  return createHash('sha256').update(der).digest('hex')
}
