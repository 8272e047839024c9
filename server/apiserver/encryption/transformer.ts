/**
 * Stored bytes and what they are on disk. A provider seals with its first key and opens with any; which provider and key it
 * was is written before the sealed bytes (`k8s:enc:aesgcm:v1:key1:`), so that keys can be changed under a running cluster.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { asError, CodedError } from '#base/errors.ts'
import type { Random } from '#base/random.ts'
import { KEY_BYTES, NONCE_BYTES, open as openBox, seal as sealBox } from './xsalsa20-poly1305.ts'

/** What every sealed value begins with; JSON never does. */
export const ENCRYPTED_PREFIX = 'k8s:enc:'

export interface Opened {
  value: Buffer
  /** Not as it would be sealed now: the next write of the object, even one without a change, mends it. */
  stale: boolean
}

/** Both throw UNTRANSFORMABLE with upstream's words. `key` is where the value is kept: what is moved elsewhere cannot be opened. */
export interface Transformer {
  seal(plain: Buffer, key: string): Buffer | Promise<Buffer>
  /** At once wherever the key is at hand. */
  open(sealed: Buffer, key: string): Opened | Promise<Opened>
}

export const untransformable = (message: string): CodedError => new CodedError('UNTRANSFORMABLE', message)

export interface NamedKey { name: string; secret: Buffer }

export interface PrefixedTransformer { prefix: string; transformer: Transformer }

/** The providers of a resource, in order: the first seals, whichever has the prefix opens. */
export function prefixTransformers(all: readonly PrefixedTransformer[], noMatch = 'no matching prefix found'): Transformer {
  const list = all.map(({ prefix, transformer }) => ({ prefix: Buffer.from(prefix), transformer }))
  const first = list[0]
  return {
    seal(plain, key) {
      if (!first) throw untransformable(noMatch)
      const sealed = first.transformer.seal(plain, key)
      return sealed instanceof Promise ? sealed.then((s) => joined(first.prefix, s)) : joined(first.prefix, sealed)
    },
    open(sealed, key) {
      // Two providers may have one prefix while keys are rotated from one to the other: the next is tried when one fails.
      const from = (at: number, failure: unknown): Opened | Promise<Opened> => {
        const i = list.findIndex(({ prefix }, index) => index >= at && hasPrefix(sealed, prefix))
        const found = list[i]
        if (!found) throw asError(failure ?? untransformable(noMatch))
        const next = (error: unknown): Opened | Promise<Opened> => from(i + 1, failure ?? error)
        let opened: Opened | Promise<Opened>
        try {
          opened = found.transformer.open(sealed.subarray(found.prefix.length), key)
        } catch (error) {
          return next(error)
        }
        return opened instanceof Promise ? opened.then((o) => staleAt(i, o), next) : staleAt(i, opened)
      }
      return from(0, undefined)
    },
  }
}

/** Unencrypted has the empty prefix, which everything begins with. */
const hasPrefix = (bytes: Buffer, prefix: Buffer): boolean => (prefix.length === 0 ? !isEncrypted(bytes) : bytes.subarray(0, prefix.length).equals(prefix))

const staleAt = (index: number, opened: Opened): Opened => (index === 0 ? opened : { value: opened.value, stale: true })

function joined(prefix: Buffer, bytes: Buffer): Buffer {
  if (prefix.length === 0) return bytes
  const out = Buffer.allocUnsafeSlow(prefix.length + bytes.length)
  prefix.copy(out)
  bytes.copy(out, prefix.length)
  return out
}

export const isEncrypted = (bytes: Buffer): boolean => bytes[0] === 0x6b && bytes.subarray(0, ENCRYPTED_PREFIX.length).toString('latin1') === ENCRYPTED_PREFIX

/** Plain, as without any encryption. */
export const identity: Transformer = {
  seal: (plain) => plain,
  open(bytes) {
    if (isEncrypted(bytes)) throw untransformable('identity transformer tried to read encrypted data')
    return { value: bytes, stale: false }
  },
}

/** Keys of one provider, told apart by `<name>:`. `kind` as upstream names it in its complaint. */
export function keyedTransformer(keys: readonly NamedKey[], kind: 'AES' | 'Secretbox', of: (secret: Buffer) => Transformer): Transformer {
  return prefixTransformers(keys.map(({ name, secret }) => ({ prefix: `${name}:`, transformer: of(secret) })), `no matching key was found for the provided ${kind} transformer`)
}

const GCM_NONCE_BYTES = 12
const GCM_TAG_BYTES = 16

/** Nonce, ciphertext, tag. */
export const aesGcm = (random: Random) => (secret: Buffer): Transformer => ({
  seal(plain, key) {
    const nonce = random.bytes(GCM_NONCE_BYTES)
    const cipher = createCipheriv(gcmOf(secret), secret, nonce)
    cipher.setAAD(Buffer.from(key))
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  },
  open(sealed, key) {
    if (sealed.length < GCM_NONCE_BYTES + GCM_TAG_BYTES) throw untransformable('the stored data was shorter than the required size')
    const decipher = createDecipheriv(gcmOf(secret), secret, sealed.subarray(0, GCM_NONCE_BYTES))
    decipher.setAAD(Buffer.from(key))
    decipher.setAuthTag(sealed.subarray(-GCM_TAG_BYTES))
    return { value: opened('cipher: message authentication failed', () => own([decipher.update(sealed.subarray(GCM_NONCE_BYTES, -GCM_TAG_BYTES)), decipher.final()])), stale: false }
  },
})

const gcmOf = (secret: Buffer): 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' => `aes-${(secret.length * 8) as 128 | 192 | 256}-gcm`

const CBC_BLOCK_BYTES = 16

/** Initialization vector, ciphertext padded as PKCS#7 says. Not authenticated: kept for clusters that have it. */
export const aesCbc = (random: Random) => (secret: Buffer): Transformer => ({
  seal(plain) {
    const iv = random.bytes(CBC_BLOCK_BYTES)
    const cipher = createCipheriv(`aes-${secret.length * 8}-cbc`, secret, iv)
    return Buffer.concat([iv, cipher.update(plain), cipher.final()])
  },
  open(sealed) {
    if (sealed.length < CBC_BLOCK_BYTES) throw untransformable('the stored data was shorter than the required size')
    if (sealed.length % CBC_BLOCK_BYTES !== 0) throw untransformable('the stored data is not a multiple of the block size')
    const decipher = createDecipheriv(`aes-${secret.length * 8}-cbc`, secret, sealed.subarray(0, CBC_BLOCK_BYTES))
    return { value: opened('invalid padding on input', () => own([decipher.update(sealed.subarray(CBC_BLOCK_BYTES)), decipher.final()])), stale: false }
  },
})

/** Nonce, then NaCl's box. */
export const secretbox = (random: Random) => (secret: Buffer): Transformer => ({
  seal(plain) {
    const nonce = random.bytes(NONCE_BYTES)
    return Buffer.concat([nonce, sealBox(secret, nonce, plain)])
  },
  open(sealed) {
    if (sealed.length < NONCE_BYTES) throw untransformable('the stored data was shorter than the required size')
    const value = openBox(secret, sealed.subarray(0, NONCE_BYTES), sealed.subarray(NONCE_BYTES))
    if (!value) throw untransformable('output array was not large enough for encryption')
    return { value, stale: false }
  },
})

export const SECRETBOX_KEY_BYTES = KEY_BYTES

function opened(complaint: string, decipher: () => Buffer): Buffer {
  try {
    return decipher()
  } catch {
    // OpenSSL's own words name its functions.
    throw untransformable(complaint)
  }
}

/** In memory of its own: a value lives long, Buffer's pool is for short lives. */
function own(parts: readonly Buffer[]): Buffer {
  const out = Buffer.allocUnsafeSlow(parts.reduce((n, p) => n + p.length, 0))
  let at = 0
  for (const part of parts) at += part.copy(out, at)
  return out
}
