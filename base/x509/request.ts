/** Certificate requests (PKCS#10, RFC 2986). */
import { TAG, bitString, childrenOf, context, expectTag, integer, octets, oid, readDer, readOid, sequence, set, type DerValue } from './der.ts'
import { readExtensions, wholeBits } from './certificate.ts'
import { SIGNATURE_ALGORITHM, isSignatureValid, publicKeyFromSpki, signDer, spkiOf, type KeyObject } from './keys.ts'
import { NO_ALT_NAMES, decodeSubject, encodeAltNames, encodeSubject, isEmptyAltNames, type AltNames, type Subject } from './names.ts'
import { parsePemBlock, toPem } from './pem.ts'

export interface CertificateRequest {
  subject: Subject
  altNames: AltNames
  spki: Buffer
  /** The requester holds the private key: its own signature is right. */
  isSignatureValid: boolean
}

const EXTENSION_REQUEST = '1.2.840.113549.1.9.14'
const ALT_NAMES = '2.5.29.17'

/** PEM, label CERTIFICATE REQUEST. */
export function createRequest(subject: Subject, altNames: AltNames, key: KeyObject): string {
  const requested = sequence(oid(EXTENSION_REQUEST), set(sequence(sequence(oid(ALT_NAMES), octets(encodeAltNames(altNames))))))
  const info = sequence(integer(Buffer.from([0])), encodeSubject(subject), spkiOf(key), context(0, ...(isEmptyAltNames(altNames) ? [] : [requested])))
  return toPem('CERTIFICATE REQUEST', sequence(info, SIGNATURE_ALGORITHM, bitString(signDer(info, key))))
}

/** Throws X509_MALFORMED. A wrong signature is not malformed: see `isSignatureValid`. */
export function parseRequest(pem: string): CertificateRequest {
  const [info, algorithm, signature] = childrenOf(expectTag(readDer(parsePemBlock(pem, 'CERTIFICATE REQUEST')), TAG.sequence, 'certificate request'))
  const body = expectTag(info, TAG.sequence, 'certificate request body')
  const [, subject, publicKey, attributes] = childrenOf(body)
  const spki = expectTag(publicKey, TAG.sequence, 'public key').raw
  const signatureAlgorithm = expectTag(algorithm, TAG.sequence, 'signature algorithm')
  return {
    subject: decodeSubject(expectTag(subject, TAG.sequence, 'subject')),
    altNames: attributes ? requestedAltNames(expectTag(attributes, 0xa0, 'attributes')) : NO_ALT_NAMES,
    spki,
    isSignatureValid: isSignatureValid(signatureAlgorithm, body.raw, wholeBits(expectTag(signature, TAG.bitString, 'signature')), publicKeyFromSpki(spki), true),
  }
}

function requestedAltNames(attributes: DerValue): AltNames {
  for (const attribute of childrenOf(attributes)) {
    const [type, values] = childrenOf(expectTag(attribute, TAG.sequence, 'attribute'))
    if (readOid(expectTag(type, TAG.oid, 'attribute type')) !== EXTENSION_REQUEST) continue
    const list = expectTag(childrenOf(expectTag(values, TAG.set, 'attribute values'))[0], TAG.sequence, 'requested extensions')
    return readExtensions(childrenOf(list)).altNames
  }
  return NO_ALT_NAMES
}
