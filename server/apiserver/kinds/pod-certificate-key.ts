/** The key that a PodCertificateRequest asks for, and the proof that who asks has it: of a kind that signers take, and not just copied. */
import { constants, createPublicKey, verify, type KeyObject } from 'node:crypto'
import type { V1beta1PodCertificateRequest } from '#api/types/index.ts'
import { hasCode } from '#base/errors.ts'
import { parseRequest, publicKeyFromSpki } from '#base/x509/index.ts'
import { invalid, type FieldError, tooLong } from '../field-error.ts'

const BYTES_MAX = 10 * 1024
const CURVES = new Set(['prime256v1', 'secp384r1', 'secp521r1'])
const MODULUS_BITS = new Set([3072, 4096])
const REQUEST = 'spec.stubPKCS10Request'
const KEY = 'spec.pkixPublicKey'
const PROOF = 'spec.proofOfPossession'

type Spec = Partial<V1beta1PodCertificateRequest['spec']>

/** One or the other form: an empty certificate request, or a key and its signature over the pod's uid. */
export function validatePodCertificateKey(spec: Spec): FieldError[] {
  const { stubPKCS10Request = '', pkixPublicKey = '', proofOfPossession = '' } = spec
  if (stubPKCS10Request !== '' && pkixPublicKey === '' && proofOfPossession === '') return validateRequest(stubPKCS10Request)
  if (stubPKCS10Request === '' && pkixPublicKey !== '' && proofOfPossession !== '') return validateKeyAndProof(pkixPublicKey, proofOfPossession, spec.podUID ?? '')
  return [withoutValue('spec', 'exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set')]
}

function validateRequest(base64: string): FieldError[] {
  if (Buffer.byteLength(base64, 'base64') > BYTES_MAX) return [tooLong(REQUEST, BYTES_MAX)]
  let request
  try {
    request = parseRequest(`-----BEGIN CERTIFICATE REQUEST-----\n${base64}\n-----END CERTIFICATE REQUEST-----\n`)
  } catch (error) {
    if (!hasCode(error, 'X509_MALFORMED')) throw error
    return [withoutValue(REQUEST, 'must be a valid PKCS#10 CSR')]
  }
  const wrong = keyProblem(publicKeyFromSpki(request.spki), REQUEST, 'elliptic public keys must use curve P256, P384, or P521')
  if (wrong) return [wrong]
  return request.isSignatureValid ? [] : [withoutValue(REQUEST, 'invalid signature')]
}

function validateKeyAndProof(key: string, proof: string, podUid: string): FieldError[] {
  if (Buffer.byteLength(key, 'base64') > BYTES_MAX) return [tooLong(KEY, BYTES_MAX)]
  if (Buffer.byteLength(proof, 'base64') > BYTES_MAX) return [tooLong(PROOF, BYTES_MAX)]
  let publicKey: KeyObject
  try {
    publicKey = createPublicKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'spki' })
  } catch {
    // OpenSSL's word for what is wrong tells nobody more.
    return [invalid(KEY, key, 'must be a valid PKIX-serialized public key')]
  }
  const wrong = keyProblem(publicKey, KEY, 'elliptic public keys must use curve P256 or P384')
  if (wrong) return [wrong]
  return isProof(publicKey, Buffer.from(podUid), Buffer.from(proof, 'base64')) ? [] : [withoutValue(PROOF, 'could not verify proof-of-possession signature')]
}

function isProof(key: KeyObject, message: Buffer, signature: Buffer): boolean {
  switch (key.asymmetricKeyType) {
    case 'ed25519': return verify(null, message, key, signature)
    case 'rsa': return verify('sha256', message, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO }, signature)
    default: return verify('sha256', message, key, signature)
  }
}

function keyProblem(key: KeyObject, field: string, curves: string): FieldError | undefined {
  const { namedCurve = '', modulusLength = 0 } = key.asymmetricKeyDetails ?? {}
  switch (key.asymmetricKeyType) {
    case 'ed25519': return undefined
    case 'ec': return CURVES.has(namedCurve) ? undefined : invalid(field, `curve ${namedCurve}`, curves)
    case 'rsa': return MODULUS_BITS.has(modulusLength) ? undefined : invalid(field, `${modulusLength}-bit modulus`, 'RSA keys must have modulus size 3072 or 4096')
    default: return withoutValue(field, 'unknown public key type; supported types are Ed25519, ECDSA, and RSA')
  }
}

/** Upstream shows nothing of these. */
const withoutValue = (field: string, detail: string): FieldError => ({ type: 'FieldValueInvalid', field, message: `Invalid value: ${detail}` })
