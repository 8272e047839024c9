/**
 * Envelope encryption with a KMS (v2): each value is sealed with a key of its own, derived from a seed that only the KMS
 * can unlock; beside the value stands the seed as the KMS sealed it. The KMS is asked once per start and per change
 * of its key, not once per value.
 */
import { createHash, createHmac } from 'node:crypto'
import type { Clock } from '#base/clock.ts'
import { uuid, type Random } from '#base/random.ts'
import { WireWriter } from '../protobuf/index.ts'
import { annotationFields, annotationsOf, fieldsOf, messageOf, type EncryptedKey, type KmsClient } from './kms-client.ts'
import { aesGcm, untransformable, type Opened, type Transformer } from './transformer.ts'

/** EncryptedDEKSourceType HKDF_SHA256_XNONCE_AES_GCM_SEED. */
const SEED_SOURCE = 1
const SEED_BYTES = 32
const INFO_BYTES = 32
/** Upstream asks a healthy KMS for its key this often; here, when a write comes after it. */
const CHECK_MS = 60_000
/** Without an answer of the KMS the last seed serves this long. */
const SEED_MS_MAX = 180_000
/** Seeds of objects sealed before the last start or rotation. */
const SEEDS_MAX = 1_000

interface Seed { secret: Buffer; sealed: EncryptedKey; checkedMs: number }

export interface KmsTransformer extends Transformer {
  /** What is wrong with the KMS, for /healthz; undefined: nothing known. */
  problem(): string | undefined
  close(): void
}

export function kmsTransformer(client: KmsClient, deps: { clock: Clock; random: Random }): KmsTransformer {
  const { clock, random } = deps
  const gcm = aesGcm(random)
  const seeds = new Map<string, Buffer>()
  const state: { current: Seed | undefined; checking: Promise<Seed> | undefined; problem: string | undefined } = { current: undefined, checking: undefined, problem: undefined }

  const remember = (sealed: EncryptedKey, secret: Buffer): void => {
    if (seeds.size >= SEEDS_MAX) seeds.clear()
    seeds.set(idOf(sealed), secret)
  }

  /** A seed under the KMS's present key. */
  async function check(): Promise<Seed> {
    const before = state.current
    try {
      const status = await client.status()
      if (status.healthz !== 'ok') throw untransformable(`got unexpected healthz status: ${status.healthz}`)
      if (before && before.sealed.keyId === status.keyId) before.checkedMs = clock.monotonicMs()
      else {
        const secret = random.bytes(SEED_BYTES)
        const sealed = await client.encrypt(secret, uuid(random))
        remember(sealed, secret)
        state.current = { secret, sealed, checkedMs: clock.monotonicMs() }
      }
      state.problem = undefined
    } catch (error) {
      state.problem = error instanceof Error ? error.message : String(error)
      if (!before || clock.monotonicMs() - before.checkedMs > SEED_MS_MAX) throw error
    }
    return state.current as Seed
  }

  function currentSeed(): Seed | Promise<Seed> {
    const { current } = state
    if (current && clock.monotonicMs() - current.checkedMs < CHECK_MS) return current
    return (state.checking ??= check().finally(() => { state.checking = undefined }))
  }

  const sealWith = (seed: Seed, plain: Buffer, key: string): Buffer => {
    const info = random.bytes(INFO_BYTES)
    const data = gcm(derivedKey(seed.secret, info)).seal(plain, key) as Buffer
    return storedMessage(Buffer.concat([info, data]), seed.sealed)
  }

  const openWith = (secret: Buffer, data: Buffer, keyId: string, key: string): Opened => {
    const { value } = gcm(derivedKey(secret, data.subarray(0, INFO_BYTES))).open(data.subarray(INFO_BYTES), key) as Opened
    return { value, stale: state.current !== undefined && state.current.sealed.keyId !== keyId }
  }

  return {
    seal(plain, key) {
      const seed = currentSeed()
      return seed instanceof Promise ? seed.then((s) => sealWith(s, plain, key)) : sealWith(seed, plain, key)
    },
    open(bytes, key) {
      const { data, sealed, source } = parseStored(bytes)
      if (source !== SEED_SOURCE || data.length < INFO_BYTES) throw untransformable('failed to unmarshal the stored object: it was not sealed with a KMS v2 seed')
      const known = seeds.get(idOf(sealed))
      if (known) return openWith(known, data, sealed.keyId, key)
      return client.decrypt(sealed, uuid(random)).then((secret) => {
        if (secret.length !== SEED_BYTES) throw untransformable(`failed to decrypt DEK, error: the KMS answered with ${secret.length} bytes`)
        remember(sealed, secret)
        return openWith(secret, data, sealed.keyId, key)
      }, (error: unknown) => { throw untransformable(`failed to decrypt DEK, error: ${error instanceof Error ? error.message : String(error)}`) })
    },
    problem: () => state.problem,
    close: () => client.close(),
  }
}

/** HKDF-Expand with SHA-256 of one block (RFC 5869): the seed is random already. */
const derivedKey = (seed: Buffer, info: Buffer): Buffer => createHmac('sha256', seed).update(info).update(Buffer.of(1)).digest()

const idOf = ({ ciphertext, keyId, annotations }: EncryptedKey): string => {
  const hash = createHash('sha256').update(keyId).update('\0').update(ciphertext)
  for (const [name, value] of annotations) hash.update(name).update('\0').update(value)
  return hash.digest('base64')
}

/** EncryptedObject: data 1, key id 2, sealed seed 3, annotations 4, kind of seed 5. */
function storedMessage(data: Buffer, { ciphertext, keyId, annotations }: EncryptedKey): Buffer {
  const kind = new WireWriter()
  kind.int(SEED_SOURCE)
  kind.tag(5, 0)
  return Buffer.concat([messageOf([[1, data], [2, Buffer.from(keyId)], [3, ciphertext], ...annotationFields(4, annotations)]), kind.finish()])
}

function parseStored(bytes: Buffer): { data: Buffer; sealed: EncryptedKey; source: number } {
  const fields = readFields(bytes)
  const at = (number: number): Buffer => fields.get(number)?.at(-1) ?? Buffer.alloc(0)
  return { data: at(1), sealed: { keyId: at(2).toString(), ciphertext: at(3), annotations: annotationsOf(fields.get(4)) }, source: Number(at(5).toString()) }
}

function readFields(bytes: Buffer): Map<number, Buffer[]> {
  try {
    return fieldsOf(bytes)
  } catch (error) {
    throw untransformable(`failed to unmarshal the stored object: ${error instanceof Error ? error.message : String(error)}`)
  }
}
