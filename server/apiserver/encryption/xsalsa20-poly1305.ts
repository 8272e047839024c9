/**
 * NaCl's secretbox: XSalsa20 for secrecy, Poly1305 for integrity (Bernstein, "Extending the Salsa20 nonce" and "The
 * Poly1305-AES message-authentication code"). Node's crypto has neither Salsa20 nor a bare Poly1305. For data at rest: the
 * running time of the sums depends on the numbers, which nobody can measure from a disk.
 */
import { timingSafeEqual } from 'node:crypto'

export const KEY_BYTES = 32
export const NONCE_BYTES = 24
export const TAG_BYTES = 16

/** Tag, then ciphertext, as NaCl lays them out. */
export function seal(key: Buffer, nonce: Buffer, plain: Buffer): Buffer {
  const { cipherKey, rest } = subkey(key, nonce)
  const out = Buffer.allocUnsafeSlow(TAG_BYTES + plain.length)
  const tagKey = xor(cipherKey, rest, plain, out.subarray(TAG_BYTES))
  poly1305(tagKey, out.subarray(TAG_BYTES)).copy(out)
  return out
}

/** Undefined: it is not what was sealed with this key and nonce. */
export function open(key: Buffer, nonce: Buffer, sealed: Buffer): Buffer | undefined {
  if (sealed.length < TAG_BYTES) return undefined
  const { cipherKey, rest } = subkey(key, nonce)
  const cipher = sealed.subarray(TAG_BYTES)
  const out = Buffer.allocUnsafeSlow(cipher.length)
  const tagKey = xor(cipherKey, rest, cipher, out)
  return timingSafeEqual(poly1305(tagKey, cipher), sealed.subarray(0, TAG_BYTES)) ? out : undefined
}

/** "expand 32-byte k" */
const SIGMA = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const
const BLOCK_BYTES = 64
/** The stream's first bytes are the tag's key. */
const TAG_KEY_BYTES = 32

function subkey(key: Buffer, nonce: Buffer): { cipherKey: Uint32Array; rest: Buffer } {
  const state = salsaState(words(key), words(nonce.subarray(0, 16)))
  const mixed = state.slice()
  rounds(mixed)
  // HSalsa20: the diagonal and the nonce's words, without the final addition.
  return { cipherKey: Uint32Array.of(...[0, 5, 10, 15, 6, 7, 8, 9].map((i) => mixed[i] as number)), rest: nonce.subarray(16) }
}

/** Writes `input` xor the stream into `output`; returns the tag's key. */
function xor(key: Uint32Array, nonce: Buffer, input: Buffer, output: Buffer): Buffer {
  const [n0 = 0, n1 = 0] = words(nonce)
  const state = salsaState(key, Uint32Array.of(n0, n1, 0, 0))
  const block = Buffer.alloc(BLOCK_BYTES)
  const tagKey = Buffer.alloc(TAG_KEY_BYTES)
  const mixed = new Uint32Array(16)
  for (let counter = 0, at = -TAG_KEY_BYTES; counter === 0 || at < input.length; counter++, at += BLOCK_BYTES) {
    state[8] = counter
    mixed.set(state)
    rounds(mixed)
    for (let i = 0; i < 16; i++) block.writeUInt32LE(((mixed[i] as number) + (state[i] as number)) >>> 0, i * 4)
    const from = counter === 0 ? TAG_KEY_BYTES : 0
    if (counter === 0) block.copy(tagKey, 0, 0, TAG_KEY_BYTES)
    for (let i = from; i < BLOCK_BYTES && at + i < input.length; i++) output[at + i] = (input[at + i] as number) ^ (block[i] as number)
  }
  return tagKey
}

function salsaState(key: Uint32Array, middle: Uint32Array): Uint32Array {
  const k = (i: number): number => key[i] as number
  const m = (i: number): number => middle[i] as number
  return Uint32Array.of(SIGMA[0], k(0), k(1), k(2), k(3), SIGMA[1], m(0), m(1), m(2), m(3), SIGMA[2], k(4), k(5), k(6), k(7), SIGMA[3])
}

function words(bytes: Buffer): Uint32Array {
  return Uint32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32LE(i * 4))
}

/** Columns, then rows; ten times both. */
const QUARTERS = [[0, 4, 8, 12], [5, 9, 13, 1], [10, 14, 2, 6], [15, 3, 7, 11], [0, 1, 2, 3], [5, 6, 7, 4], [10, 11, 8, 9], [15, 12, 13, 14]] as const

function rounds(x: Uint32Array): void {
  for (let round = 0; round < 10; round++) {
    for (const [a, b, c, d] of QUARTERS) {
      x[b] = (x[b] as number) ^ rotate((x[a] as number) + (x[d] as number), 7)
      x[c] = (x[c] as number) ^ rotate((x[b] as number) + (x[a] as number), 9)
      x[d] = (x[d] as number) ^ rotate((x[c] as number) + (x[b] as number), 13)
      x[a] = (x[a] as number) ^ rotate((x[d] as number) + (x[c] as number), 18)
    }
  }
}

const rotate = (sum: number, bits: number): number => (sum << bits) | ((sum >>> 0) >>> (32 - bits))

const P = (1n << 130n) - 5n
const CLAMP = 0x0ffffffc0ffffffc0ffffffc0fffffffn

function poly1305(key: Buffer, message: Buffer): Buffer {
  const r = little(key.subarray(0, 16)) & CLAMP
  let sum = 0n
  for (let at = 0; at < message.length; at += 16) {
    const block = message.subarray(at, at + 16)
    sum = ((sum + little(block) + (1n << BigInt(block.length * 8))) * r) % P
  }
  const tag = (sum + little(key.subarray(16))) & ((1n << 128n) - 1n)
  return Buffer.from(tag.toString(16).padStart(32, '0'), 'hex').reverse()
}

/** A little-endian number of at most 16 bytes. */
function little(bytes: Buffer): bigint {
  if (bytes.length === 16) return bytes.readBigUInt64LE(0) | (bytes.readBigUInt64LE(8) << 64n)
  return BigInt(`0x0${Buffer.from(bytes).reverse().toString('hex')}`)
}
