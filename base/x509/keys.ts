/** ECDSA P-256 keys, the only ones skiff makes, and signatures by whatever key others bring (RSA, other curves, Ed25519). */
import { constants, createHash, createPrivateKey, createPublicKey, generateKeyPair, sign, verify, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { TAG, childrenOf, expectTag, malformed, oid, readOid, sequence, type DerValue } from './der.ts'

export type { KeyObject }

export async function generateKey(): Promise<KeyObject> {
  return (await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })).privateKey
}

/** `EC PRIVATE KEY`, the form upstream's tools write. */
export function privateKeyPem(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'sec1' }).toString()
}

/** Throws X509_MALFORMED. */
export function parsePrivateKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (error) {
    throw malformed('not a private key in PEM', error)
  }
}

/** SubjectPublicKeyInfo of a private or public key. */
export function spkiOf(key: KeyObject): Buffer {
  return (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'der', type: 'spki' })
}

/** Throws X509_MALFORMED. */
export function publicKeyFromSpki(spki: Buffer): KeyObject {
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' })
  } catch (error) {
    throw malformed('the public key is of a kind that is not understood', error)
  }
}

/** Leftmost 160 bits of SHA-256 over the public key bits (RFC 7093 2.1). `bits` is the BIT STRING's content without its first byte. */
export function keyIdentifier(bits: Buffer): Buffer {
  return createHash('sha256').update(bits).digest().subarray(0, 20)
}

const ECDSA_SHA256 = '1.2.840.10045.4.3.2'

/** What we sign with. */
export const SIGNATURE_ALGORITHM = sequence(oid(ECDSA_SHA256))

export function signDer(tbs: Buffer, key: KeyObject): Buffer {
  return sign('sha256', tbs, key)
}

interface Scheme { digest: string | null; keyTypes: readonly string[]; /** Old enough for requests only, whose signature proves no more than who holds the key. */ isWeak?: true }

/** Signature algorithm → digest for node:crypto; null where the algorithm brings its own. MD5 is not accepted. */
const DIGESTS: Readonly<Record<string, Scheme>> = {
  '1.2.840.113549.1.1.5': { digest: 'sha1', keyTypes: ['rsa'], isWeak: true },
  '1.2.840.113549.1.1.11': { digest: 'sha256', keyTypes: ['rsa'] },
  '1.2.840.113549.1.1.12': { digest: 'sha384', keyTypes: ['rsa'] },
  '1.2.840.113549.1.1.13': { digest: 'sha512', keyTypes: ['rsa'] },
  '1.2.840.10045.4.1': { digest: 'sha1', keyTypes: ['ec'], isWeak: true },
  [ECDSA_SHA256]: { digest: 'sha256', keyTypes: ['ec'] },
  '1.2.840.10045.4.3.3': { digest: 'sha384', keyTypes: ['ec'] },
  '1.2.840.10045.4.3.4': { digest: 'sha512', keyTypes: ['ec'] },
  '1.3.101.112': { digest: null, keyTypes: ['ed25519'] },
}

const RSA_PSS = '1.2.840.113549.1.1.10'
const MGF1 = '1.2.840.113549.1.1.8'
const PSS_DIGESTS: Readonly<Record<string, { digest: string; bytes: number }>> = {
  '2.16.840.1.101.3.4.2.1': { digest: 'sha256', bytes: 32 }, '2.16.840.1.101.3.4.2.2': { digest: 'sha384', bytes: 48 }, '2.16.840.1.101.3.4.2.3': { digest: 'sha512', bytes: 64 },
}

/** `algorithm`: the AlgorithmIdentifier. `allowSha1`: as Go's x509 does for certificate requests, not for certificates. */
export function isSignatureValid(algorithm: DerValue, tbs: Buffer, signature: Buffer, key: KeyObject, allowSha1 = false): boolean {
  const [id, parameters] = childrenOf(algorithm)
  const name = readOid(expectTag(id, TAG.oid, 'signature algorithm'))
  if (name === RSA_PSS) {
    const pss = readPss(parameters)
    return pss !== undefined && key.asymmetricKeyType === 'rsa' && verify(pss.digest, tbs, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: pss.bytes }, signature)
  }
  const known = DIGESTS[name]
  if (!known || !known.keyTypes.includes(key.asymmetricKeyType ?? '') || (known.isWeak && !allowSha1)) return false
  return verify(known.digest, tbs, key, signature)
}

/** RSASSA-PSS-params (RFC 4055 3.1), as far as Go takes them: one hash for both, a salt of its length, the usual trailer. */
function readPss(parameters: DerValue | undefined): { digest: string; bytes: number } | undefined {
  const fields = new Map(childrenOf(expectTag(parameters, TAG.sequence, 'RSA-PSS parameters')).map((field) => [field.tag, childrenOf(field)[0]]))
  const hash = fields.get(0xa0) && childrenOf(expectTag(fields.get(0xa0), TAG.sequence, 'hash'))[0]
  const mask = fields.get(0xa1) && childrenOf(expectTag(fields.get(0xa1), TAG.sequence, 'mask generation function'))
  const maskHash = mask?.[1] && childrenOf(expectTag(mask[1], TAG.sequence, 'hash'))[0]
  if (!hash || !maskHash || readOid(expectTag(mask[0], TAG.oid, 'mask generation function')) !== MGF1) return undefined
  const known = PSS_DIGESTS[readOid(expectTag(hash, TAG.oid, 'hash'))]
  const number = (field: DerValue | undefined): number => expectTag(field, TAG.integer, 'number').value.reduce((sum, byte) => sum * 256 + byte, 0)
  const isUsual = readOid(expectTag(maskHash, TAG.oid, 'hash')) === readOid(hash) && fields.has(0xa2) && number(fields.get(0xa2)) === known?.bytes && (!fields.has(0xa3) || number(fields.get(0xa3)) === 1)
  return isUsual ? known : undefined
}
