/** Randomness as a thing one is handed. `systemRandom` is cryptographic; `seededRandom` replays. */
import { randomBytes, randomFillSync } from 'node:crypto'

export interface Random {
  /** In [0, 1). */
  next(): number
  bytes(count: number): Buffer
}

/** Asking the system costs the same for sixteen bytes as for thousands. */
const POOL_BYTES = 4096

function pooledRandom(): Random {
  const pool = Buffer.alloc(POOL_BYTES)
  let at = POOL_BYTES
  const bytes = (count: number): Buffer => {
    if (count > POOL_BYTES / 8) return randomBytes(count)
    if (at + count > POOL_BYTES) {
      randomFillSync(pool)
      at = 0
    }
    const out = Buffer.from(pool.subarray(at, at + count))
    // May become a key: no second copy stays behind.
    pool.fill(0, at, at + count)
    at += count
    return out
  }
  return { next: () => bytes(6).readUIntBE(0, 6) / 2 ** 48, bytes }
}

export const systemRandom: Random = pooledRandom()

/** mulberry32: small, fast, replayable; never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return { next, bytes: (count) => Buffer.from(Array.from({ length: count }, () => Math.floor(next() * 256))) }
}

/** An RFC 9562 version 4 UUID from the given source: object uids. */
export function uuid(random: Random): string {
  const b = random.bytes(16)
  b[6] = ((b[6] ?? 0) & 0x0f) | 0x40
  b[8] = ((b[8] ?? 0) & 0x3f) | 0x80
  const h = b.toString('hex')
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`
}

const NAME_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789'

/** `length` characters of Kubernetes' name alphabet (no vowels, no look-alikes), as generateName appends. */
export function nameSuffix(random: Random, length = 5): string {
  return Array.from(random.bytes(length), (b) => NAME_ALPHABET[b % NAME_ALPHABET.length]).join('')
}
