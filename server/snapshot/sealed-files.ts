/**
 * What a cluster is besides its store: authorities, the keys of service account tokens and of encryption at rest. They go
 * with each snapshot, sealed with the cluster's token, so that a new disk needs nothing but a snapshot and the token. As
 * k3s has it: a snapshot without its token is of no use, to thieves either.
 */
import { createCipheriv, createDecipheriv, scrypt } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CodedError, hasCode } from '#base/errors.ts'
import type { Random } from '#base/random.ts'

/** All base64. */
export interface SealedFiles { salt: string; nonce: string; tag: string; data: string }

export interface PlainFile { /** Below the data directory. */ path: string; mode: number; content: Buffer }

/** Keys of whole directories are there for others to find; certificates that are made anew at the next start are left out. */
const FILES: readonly RegExp[] = [
  /^server\/tls\/[a-z-]+-ca\.(?:key|crt)$/, /^server\/tls\/service\.key$/, /^server\/cred\/[a-z-]+\.json$/, /^server\/agent-token$/,
  // Without it the node of the same name on a new disk would be taken for an impostor.
  /^agent\/node-password$/,
]
const DIRECTORIES = ['server/tls', 'server/cred', 'server', 'agent']
const FILE_BYTES_MAX = 256 * 1024

/** Some 50 ms and 16 MiB on a board: a token that somebody made up himself is not guessed by the million. */
const SCRYPT = { N: 2 ** 14, r: 8, p: 1 }
const KEY_BYTES = 32

export async function collectFiles(dataDir: string): Promise<PlainFile[]> {
  const found: PlainFile[] = []
  for (const directory of DIRECTORIES) {
    for (const name of (await namesIn(join(dataDir, directory))).sort()) {
      const path = `${directory}/${name}`
      if (!FILES.some((pattern) => pattern.test(path))) continue
      const content = await readFile(join(dataDir, path))
      if (content.length > FILE_BYTES_MAX) throw new CodedError('FILE_TOO_LARGE', `${join(dataDir, path)} has ${content.length} bytes, which no key has: no snapshot is taken before that is mended`)
      found.push({ path, mode: path.endsWith('.crt') ? 0o644 : 0o600, content })
    }
  }
  return found
}

export async function sealFiles(files: readonly PlainFile[], secret: string, random: Random): Promise<SealedFiles> {
  const [salt, nonce] = [random.bytes(16), random.bytes(12)]
  const cipher = createCipheriv('aes-256-gcm', await keyOf(secret, salt), nonce)
  const plain = JSON.stringify(files.map(({ path, mode, content }) => ({ path, mode, content: content.toString('base64') })))
  const data = Buffer.concat([cipher.update(plain), cipher.final()])
  return { salt: salt.toString('base64'), nonce: nonce.toString('base64'), tag: cipher.getAuthTag().toString('base64'), data: data.toString('base64') }
}

/** Rejects with `WRONG_TOKEN`. */
export async function openFiles(sealed: SealedFiles, secret: string): Promise<PlainFile[]> {
  const [salt, nonce, tag, data] = [sealed.salt, sealed.nonce, sealed.tag, sealed.data].map((text) => Buffer.from(text, 'base64')) as [Buffer, Buffer, Buffer, Buffer]
  const decipher = createDecipheriv('aes-256-gcm', await keyOf(secret, salt), nonce, { authTagLength: 16 })
  let plain: string
  try {
    decipher.setAuthTag(tag)
    plain = decipher.update(data, undefined, 'utf8') + decipher.final('utf8')
  } catch (cause) {
    throw new CodedError('WRONG_TOKEN', 'the token is not the one the cluster had when the snapshot was taken: pass that one with --token (it was in <data-dir>/server/token)', { cause })
  }
  const files = (JSON.parse(plain) as { path: string; mode: number; content: string }[]).map(({ path, mode, content }) => ({ path, mode, content: Buffer.from(content, 'base64') }))
  const foreign = files.find(({ path }) => !FILES.some((pattern) => pattern.test(path)))
  if (foreign) throw new CodedError('SNAPSHOT_FORMAT', `the snapshot brings a file ${JSON.stringify(foreign.path)}, which this skiff does not know: use the release that wrote it, or a newer one`)
  return files
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

function keyOf(secret: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => scrypt(secret, salt, KEY_BYTES, SCRYPT, (error, key) => (error ? reject(error) : resolve(key))))
}
