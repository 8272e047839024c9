/** What a node keeps of its join, under `<data-dir>/agent`: pinned CAs, client and serving certificates with keys, its password. */
import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic } from '#base/atomic-file.ts'
import { CodedError, hasCode } from '#base/errors.ts'
import type { Random } from '#base/random.ts'
import { parseCertificatesPem, parsePrivateKey, privateKeyPem, spkiOf, type Certificate, type KeyObject } from '#base/x509/index.ts'

/** PEM as TLS wants it. */
export interface NodeCertificate { cert: string; key: string; parsed: Certificate }

export interface IdentityFiles {
  readCa(): Promise<{ pem: string; certificate: Certificate } | undefined>
  writeCa(pem: string): Promise<void>
  /** Undefined when absent, damaged, or not of that node: it is asked for again. */
  readCertificate(which: 'client' | 'serving'): Promise<NodeCertificate | undefined>
  writeCertificate(which: 'client' | 'serving', key: KeyObject, certPem: string): Promise<NodeCertificate>
  /** Everything but the password, which is this machine's for as long as its disk lives. */
  forget(): Promise<void>
  password(random: Random): Promise<string>
}

const FILES = { client: 'client-kubelet.pem', serving: 'serving-kubelet.pem' } as const

/** Whether this machine was a node before: it needs no server to begin then. */
export const hasJoinedAsNode = (dataDir: string): boolean => existsSync(join(dataDir, 'agent', 'tls', FILES.client))

export function createIdentityFiles(dataDir: string, nodeName: string): IdentityFiles {
  const tls = join(dataDir, 'agent', 'tls')
  const caPath = join(tls, 'server-ca.crt')
  const passwordPath = join(dataDir, 'agent', 'node-password')
  const secret = { mode: 0o600, directoryMode: 0o700 }
  return {
    async readCa() {
      const pem = await readText(caPath)
      const certificate = pem === undefined ? undefined : unlessMalformed(() => parseCertificatesPem(pem)[0])
      return pem !== undefined && certificate ? { pem, certificate } : undefined
    },
    writeCa: (pem) => writeFileAtomic(caPath, pem, { mode: 0o644, directoryMode: 0o700 }),
    async readCertificate(which) {
      const text = await readText(join(tls, FILES[which]))
      const read = text === undefined ? undefined : unlessMalformed(() => splitPem(text))
      return read?.parsed.subject.commonName === `system:node:${nodeName}` ? read : undefined
    },
    async writeCertificate(which, key, certPem) {
      // Certificate and key in one file: a crash between two would leave a pair that does not match.
      const text = certPem + privateKeyPem(key)
      const read = splitPem(text)
      await writeFileAtomic(join(tls, FILES[which]), text, secret)
      return read
    },
    async forget() {
      for (const path of [join(tls, FILES.client), join(tls, FILES.serving), caPath]) await rm(path, { force: true })
    },
    async password(random) {
      const stored = (await readText(passwordPath))?.trim()
      if (stored) return stored
      const made = random.bytes(16).toString('hex')
      await writeFileAtomic(passwordPath, `${made}\n`, secret)
      return made
    },
  }
}

/** Throws X509_MALFORMED, also when key and certificate do not belong together. */
function splitPem(text: string): NodeCertificate {
  const parsed = parseCertificatesPem(text)[0] as Certificate
  const key = parsePrivateKey(text.slice(text.indexOf('-----BEGIN EC PRIVATE KEY-----')))
  if (!parsed.spki.equals(spkiOf(key))) throw new CodedError('X509_MALFORMED', 'the key is not that of the certificate')
  return { cert: text.slice(0, text.indexOf('-----BEGIN EC PRIVATE KEY-----')), key: privateKeyPem(key), parsed }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function unlessMalformed<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (!hasCode(error, 'X509_MALFORMED')) throw error
    return undefined
  }
}
