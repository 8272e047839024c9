/** ECDSA P-256 keys, the only ones skiff makes, and signatures by whatever key others bring (RSA, other curves, Ed25519). */
import { createHash, createPrivateKey, createPublicKey, generateKeyPair, sign, verify, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { malformed, oid, readOid, sequence, type DerValue } from './der.ts'

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

/** Signature algorithm → digest for node:crypto; null where the algorithm brings its own. SHA-1 and MD5 are not accepted. */
const DIGESTS: Readonly<Record<string, { digest: string | null; keyTypes: readonly string[] }>> = {
  '1.2.840.113549.1.1.11': { digest: 'sha256', keyTypes: ['rsa'] },
  '1.2.840.113549.1.1.12': { digest: 'sha384', keyTypes: ['rsa'] },
  '1.2.840.113549.1.1.13': { digest: 'sha512', keyTypes: ['rsa'] },
  [ECDSA_SHA256]: { digest: 'sha256', keyTypes: ['ec'] },
  '1.2.840.10045.4.3.3': { digest: 'sha384', keyTypes: ['ec'] },
  '1.2.840.10045.4.3.4': { digest: 'sha512', keyTypes: ['ec'] },
  '1.3.101.112': { digest: null, keyTypes: ['ed25519'] },
}

export function isSignatureValid(algorithm: DerValue, tbs: Buffer, signature: Buffer, key: KeyObject): boolean {
  const known = DIGESTS[readOid(algorithm)]
  if (!known || !known.keyTypes.includes(key.asymmetricKeyType ?? '')) return false
  return verify(known.digest, tbs, key, signature)
}
