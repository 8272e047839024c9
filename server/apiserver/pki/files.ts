/** Key and certificate pairs on disk: `<name>.key` (0600) and `<name>.crt`. The key is written first: a crash leaves a key without certificate, never the other way round. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic } from '#base/atomic-file.ts'
import { CodedError, hasCode } from '#base/errors.ts'
import { parseCertificatesPem, parsePrivateKey, privateKeyPem, spkiOf, type Certificate, type KeyObject } from '#base/x509/index.ts'

export interface Pair {
  key: KeyObject
  keyPem: string
  /** The pair's own certificate first. */
  chain: readonly Certificate[]
  certPem: string
}

export type StoredPair =
  | { state: 'absent' }
  /** A first start was cut off after the key: it was never used. */
  | { state: 'key-only'; key: KeyObject; keyPem: string }
  | { state: 'whole'; pair: Pair }
  /** `because` is a sentence with the path and what is wrong. */
  | { state: 'broken'; because: string }

export const keyPath = (directory: string, name: string): string => join(directory, `${name}.key`)
export const certPath = (directory: string, name: string): string => join(directory, `${name}.crt`)

export async function readPair(directory: string, name: string): Promise<StoredPair> {
  const keyPem = await readText(keyPath(directory, name))
  const certPem = await readText(certPath(directory, name))
  if (keyPem === undefined && certPem === undefined) return { state: 'absent' }
  if (keyPem === undefined) return { state: 'broken', because: `${certPath(directory, name)} is there but its key ${keyPath(directory, name)} is missing` }
  let key: KeyObject
  try {
    key = parsePrivateKey(keyPem)
  } catch (error) {
    if (!hasCode(error, 'X509_MALFORMED')) throw error
    return { state: 'broken', because: `${keyPath(directory, name)} is not a private key` }
  }
  if (certPem === undefined) return { state: 'key-only', key, keyPem }
  let chain: Certificate[]
  try {
    chain = parseCertificatesPem(certPem)
  } catch (error) {
    if (!hasCode(error, 'X509_MALFORMED')) throw error
    return { state: 'broken', because: `${certPath(directory, name)} is not a certificate` }
  }
  if (!chain[0]?.spki.equals(spkiOf(key))) return { state: 'broken', because: `${certPath(directory, name)} does not belong to ${keyPath(directory, name)}` }
  return { state: 'whole', pair: { key, keyPem, chain, certPem } }
}

export async function writePair(directory: string, name: string, key: KeyObject, certPem: string): Promise<Pair> {
  const keyPem = privateKeyPem(key)
  await writeFileAtomic(keyPath(directory, name), keyPem, { mode: 0o600, directoryMode: 0o700 })
  await writeFileAtomic(certPath(directory, name), certPem, { mode: 0o644, directoryMode: 0o700 })
  return { key, keyPem, chain: parseCertificatesPem(certPem), certPem }
}

/** Undefined when there is no such file. Bounded: nobody's key is a megabyte long. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    const bytes = await readFile(path)
    if (bytes.length > FILE_BYTES_MAX) throw new CodedError('PKI_BROKEN', `${path} is ${bytes.length} bytes long, which no key or certificate is: restore it from a backup`)
    return bytes.toString('utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

const FILE_BYTES_MAX = 256 * 1024
