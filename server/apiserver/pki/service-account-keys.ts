/** The keys that sign and verify service account tokens: `service.key`. The first in the file signs; more may follow it to keep older tokens valid. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { writeFileAtomic } from '#base/atomic-file.ts'
import { CodedError } from '#base/errors.ts'
import { generateKey, parsePem, parsePrivateKey, privateKeyPem, spkiOf, toPem, type KeyObject } from '#base/x509/index.ts'
import { readText } from './files.ts'

export interface SigningKey {
  /** As upstream: base64url of SHA-256 over the public key's DER. */
  kid: string
  key: KeyObject
}

/** At least one. Throws `PKI_BROKEN`. */
export async function ensureServiceAccountKeys(directory: string): Promise<readonly SigningKey[]> {
  const path = join(directory, 'service.key')
  const stored = await readText(path)
  if (stored === undefined) {
    const key = await generateKey()
    await writeFileAtomic(path, privateKeyPem(key), { mode: 0o600, directoryMode: 0o700 })
    return [withId(key)]
  }
  const broken = (cause?: unknown) => new CodedError('PKI_BROKEN', `${path} does not hold an ECDSA P-256 private key: restore it from a backup, or remove it and a new one is made (all service account tokens are then issued again)`, { cause })
  let keys: KeyObject[]
  try {
    keys = parsePem(stored).filter((b) => b.label.endsWith('PRIVATE KEY')).map((b) => parsePrivateKey(toPem(b.label, b.bytes)))
  } catch (error) {
    throw broken(error)
  }
  if (keys.length === 0 || keys.some((k) => k.asymmetricKeyType !== 'ec' || k.asymmetricKeyDetails?.namedCurve !== 'prime256v1')) throw broken()
  return keys.map(withId)
}

export function withId(key: KeyObject): SigningKey {
  return { kid: createHash('sha256').update(spkiOf(key)).digest('base64url'), key }
}
