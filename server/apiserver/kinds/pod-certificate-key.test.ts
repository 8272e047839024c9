import { deepStrictEqual } from 'node:assert'
import { constants, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { createRequest } from '#base/x509/index.ts'
import { validatePodCertificateKey } from './pod-certificate-key.ts'

const UID = '11111111-2222-3333-4444-555555555555'
const spki = (key: KeyObject): string => key.export({ format: 'der', type: 'spki' }).toString('base64')
const said = (spec: Parameters<typeof validatePodCertificateKey>[0]): string[] => validatePodCertificateKey({ podUID: UID, ...spec }).map((e) => `${e.field}: ${e.message}`)

test('a key comes with a signature over the pod\'s uid, by each kind of key that signers take', () => {
  const ed = generateKeyPairSync('ed25519')
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const rsa = generateKeyPairSync('rsa', { modulusLength: 3072 })
  const message = Buffer.from(UID)
  const proofs: [KeyObject, Buffer][] = [
    [ed.publicKey, sign(null, message, ed.privateKey)], [ec.publicKey, sign('sha256', message, ec.privateKey)],
    [rsa.publicKey, sign('sha256', message, { key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 })],
  ]
  for (const [key, proof] of proofs) deepStrictEqual(said({ pkixPublicKey: spki(key), proofOfPossession: proof.toString('base64') }), [])
  const refused = ['spec.proofOfPossession: Invalid value: could not verify proof-of-possession signature']
  for (const [key, proof] of proofs) deepStrictEqual(said({ podUID: 'other', pkixPublicKey: spki(key), proofOfPossession: proof.toString('base64') }), refused)
  deepStrictEqual(said({ pkixPublicKey: spki(ed.publicKey), proofOfPossession: 'AAAA' }), refused)
})

test('keys that are none, too small or of another kind are refused in upstream\'s words', () => {
  const small = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const odd = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
  const other = generateKeyPairSync('ed448')
  deepStrictEqual(['AAAA', spki(small.publicKey), spki(odd.publicKey), spki(other.publicKey)].map((pkixPublicKey) => said({ pkixPublicKey, proofOfPossession: 'AAAA' })[0]), [
    'spec.pkixPublicKey: Invalid value: "AAAA": must be a valid PKIX-serialized public key',
    'spec.pkixPublicKey: Invalid value: "2048-bit modulus": RSA keys must have modulus size 3072 or 4096',
    'spec.pkixPublicKey: Invalid value: "curve secp256k1": elliptic public keys must use curve P256 or P384',
    'spec.pkixPublicKey: Invalid value: unknown public key type; supported types are Ed25519, ECDSA, and RSA',
  ])
})

test('a certificate request stands alone, and is signed by its key', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const base64 = createRequest({ commonName: '', organizations: [] }, { dnsNames: [], ipAddresses: [], emails: [], uris: [] }, privateKey).replace(/-----[^-]*-----|\n/g, '')
  const bytes = Buffer.from(base64, 'base64')
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  const either = ['spec: Invalid value: exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set']
  deepStrictEqual([{ stubPKCS10Request: base64 }, { stubPKCS10Request: 'AAAA' }, { stubPKCS10Request: bytes.toString('base64') }, {}, { stubPKCS10Request: base64, pkixPublicKey: spki(publicKey) }, { pkixPublicKey: spki(publicKey) }].map(said), [
    [], ['spec.stubPKCS10Request: Invalid value: must be a valid PKCS#10 CSR'], ['spec.stubPKCS10Request: Invalid value: invalid signature'], either, either, either,
  ])
})
