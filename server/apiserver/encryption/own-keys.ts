/**
 * The keys that skiff makes itself (`--secrets-encryption`), the same on all servers: they lie in the store, sealed with
 * what only servers of the cluster have, and each server keeps a copy in its key file. Two things follow from the store's
 * order. Who reads a value has read the keys before that it was sealed with. And each write asserts that the keys are
 * those that it was sealed with: once new keys are in the store nothing is written with old ones any more, by whomever,
 * so that no server has to be asked whether it has them yet. One that was away finds them in the store when it is back.
 */
import { createCipheriv, createDecipheriv, hkdfSync, type KeyObject } from 'node:crypto'
import { asError, assert, CodedError, hasCode } from '#base/errors.ts'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { KeyValue, Revision, Store, Watch } from '#server/store/store.ts'
import { parseEncryptionConfig } from './configuration.ts'
import { MARK_KEY, sealedWithoutKeys, type Encryption } from './index.ts'
import { sealStore } from './sealed-store.ts'
import { transformerTable } from './table.ts'
import { TransformMetrics } from './transform-metrics.ts'

/** Base64 in `secret`. */
export interface KeyEntry { name: string; secret: string }

/** An EncryptionConfiguration as skiff writes it: Secrets, AES-GCM first. */
export interface OwnConfiguration {
  kind: string
  apiVersion: string
  resources: readonly { resources: readonly string[]; providers: readonly ({ aesgcm: { keys: readonly KeyEntry[] } } | { identity: object })[] }[]
}

/** This server's copy. */
export interface KeyFile {
  readonly path: string
  /** Undefined: there is none. Throws UsageError. */
  read(): unknown
  write(configuration: OwnConfiguration): Promise<void>
}

export interface OwnKeysOptions {
  kind: 'own'
  file: KeyFile
  newKey: () => KeyEntry
  /** Whether encryption begins where the cluster has no keys yet: `--secrets-encryption`. */
  begins: boolean
}

export interface OwnEncryption extends Encryption {
  /** Names, the one in use first; none: nothing is encrypted. */
  names(): string[]
  /** From then on everything is sealed with a new key, on all servers. Rejects with `NOT_ENCRYPTED`, `TOO_SOON`. */
  rotate(): Promise<void>
  /** All keys but the one in use: when nothing is sealed with them any more. */
  forget(): Promise<void>
}

/** What lies in the store. */
export interface StoredKeys {
  configuration: OwnConfiguration
  /** Names of keys that must not come back from an old copy. */
  forgotten: readonly string[]
}

/** No resource's: groups have a dot. Below the root, as an external etcd keeps nothing else. */
export const KEYS_KEY = '/registry/skiff/encryption-keys'
const FORGOTTEN_MAX = 1_000
/** Somebody else changed the keys, each time. */
const ATTEMPTS = 20
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Of what all servers of a cluster have, and nobody else: the key of the authority that signs their certificates. */
export function wrappingKey(authority: KeyObject): Buffer {
  return Buffer.from(hkdfSync('sha256', authority.export({ type: 'pkcs8', format: 'der' }), '', 'skiff: keys of encryption at rest', 32))
}

export function wrapKeys(keys: StoredKeys, wrapping: Buffer, random: Random): Buffer {
  const nonce = random.bytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', wrapping, nonce)
  return Buffer.concat([nonce, cipher.update(JSON.stringify(keys)), cipher.final(), cipher.getAuthTag()])
}

/** Throws `KEYS_UNREADABLE`. */
export function unwrapKeys(value: Buffer, wrapping: Buffer): StoredKeys {
  try {
    const decipher = createDecipheriv('aes-256-gcm', wrapping, value.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
    decipher.setAuthTag(value.subarray(-TAG_BYTES))
    return JSON.parse(decipher.update(value.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')) as StoredKeys
  } catch (cause) {
    throw new CodedError('KEYS_UNREADABLE', 'the keys of encryption at rest in the store cannot be opened: they were sealed by a server with another server/tls/server-ca.key: restore that file from a backup', { cause })
  }
}

/** Secrets, sealed with one key; what is there already can still be read. */
function newConfiguration(key: KeyEntry): OwnConfiguration {
  return {
    kind: 'EncryptionConfiguration', apiVersion: 'apiserver.config.k8s.io/v1',
    resources: [{ resources: ['secrets'], providers: [{ aesgcm: { keys: [key] } }, { identity: {} }] }],
  }
}

/** Throws `KEY_FILE_FOREIGN`. */
export function keysOf(configuration: OwnConfiguration): readonly KeyEntry[] {
  const [first] = configuration.resources[0]?.providers ?? []
  if (!first || !('aesgcm' in first)) throw new CodedError('KEY_FILE_FOREIGN', 'the key file is not as skiff wrote it: pass it with --encryption-provider-config, and change its keys by hand')
  return first.aesgcm.keys
}

export function withKeys(configuration: OwnConfiguration, keys: readonly KeyEntry[]): OwnConfiguration {
  const [entry] = configuration.resources
  assert(entry !== undefined, 'keys are put into a configuration without resources')
  return { ...configuration, resources: [{ ...entry, providers: [{ aesgcm: { keys } }, ...entry.providers.slice(1)] }] }
}

/** The new one is used, the others can still be read with. Throws `TOO_SOON`: names tell seconds. */
export function rotated({ configuration, forgotten }: StoredKeys, key: KeyEntry): StoredKeys {
  const known = keysOf(configuration)
  if (known.some((k) => k.name === key.name)) throw new CodedError('TOO_SOON', 'the key in use was made this very second: try again')
  return { configuration: withKeys(configuration, [key, ...known]), forgotten }
}

export function withoutOld({ configuration, forgotten }: StoredKeys): StoredKeys {
  const [used, ...old] = keysOf(configuration)
  return { configuration: withKeys(configuration, used ? [used] : []), forgotten: [...forgotten, ...old.map((k) => k.name)].slice(-FORGOTTEN_MAX) }
}

/** With keys that only a server's copy has, of a release that kept none in the store: they can be read with. The same object where there are none. */
export function withCopy(keys: StoredKeys, copy: OwnConfiguration): StoredKeys {
  const known = keysOf(keys.configuration)
  const more = keysOf(copy).filter(({ name }) => !known.some((k) => k.name === name) && !keys.forgotten.includes(name))
  return more.length === 0 ? keys : { ...keys, configuration: withKeys(keys.configuration, [...known, ...more]) }
}

interface InUse { keys: StoredKeys | undefined; /** Of what lies in the store; 0: nothing does. */ revision: Revision; problem: string | undefined }

/**
 * `hasOthers`: other servers may begin with encryption, or change its keys. Without them, and without keys, the store is
 * what was given. Rejects with UsageError, `KEYS_UNREADABLE`, `KEY_FILE_FOREIGN`.
 */
export async function openOwnEncryption(store: Store, { file, newKey, begins }: OwnKeysOptions, deps: { wrapping: Buffer; hasOthers: boolean; clock: Clock; random: Random; log: Log }): Promise<OwnEncryption> {
  const { wrapping, random } = deps
  const log = deps.log.with('encryption')
  const given = file.read()
  const copy = given === undefined ? undefined : (given as OwnConfiguration)
  if (!copy && !begins && !deps.hasOthers && !(await store.get(KEYS_KEY))) {
    return { ...(await sealedWithoutKeys(store, log)), names: () => [], rotate: () => Promise.reject(notEncrypted()), forget: () => Promise.reject(notEncrypted()) }
  }
  const transforms = new TransformMetrics(deps.clock)
  const sealed = sealStore(store, { of: () => undefined }, log, transforms)
  const now: InUse = { keys: undefined, revision: 0, problem: undefined }
  const copying: { written: string; last: Promise<void> } = { written: JSON.stringify(copy), last: Promise.resolve() }

  /** Synchronous: whatever comes after it in the store is read with these keys. */
  const take = (kv: KeyValue): void => {
    if (kv.modRevision <= now.revision) return
    const keys = unwrapKeys(kv.value, wrapping)
    const parsed = parseEncryptionConfig(keys.configuration)
    if (!parsed.ok) throw new CodedError('KEYS_UNREADABLE', `the keys of encryption at rest in the store are not as this release knows them (${parsed.message}): run the newest release on all servers`)
    sealed.use(transformerTable(parsed.config, random, () => { throw new Error('bug: keys of skiff\'s own are in no KMS') }), { key: KEYS_KEY, modRevision: kv.modRevision })
    if (now.revision > 0) log.info('the keys of encryption at rest have changed', { inUse: keysOf(keys.configuration)[0]?.name })
    Object.assign(now, { keys, revision: kv.modRevision, problem: undefined })
    const text = JSON.stringify(keys.configuration)
    copying.last = copying.last.then(async () => {
      if (text === copying.written) return
      await file.write(keys.configuration)
      copying.written = text
    }).catch((error: unknown) => log.error('the key file could not be written: the keys are in the store, and in snapshots', { file: file.path, error: asError(error) }))
  }
  const watch = followKeys(store, (kv) => {
    try {
      take(kv)
    } catch (error) {
      now.problem = asError(error).message
      log.error('the keys of encryption at rest have changed, and cannot be used', { error: asError(error) })
    }
  })
  try {
    const stored = await store.get(KEYS_KEY)
    if (stored) take(stored)
    if (copy) await change((keys) => (keys ? withCopy(keys, copy) : { configuration: copy, forgotten: [] }))
    else if (begins) await change((keys) => keys ?? { configuration: newConfiguration(newKey()), forgotten: [] })
    if (now.keys && !(await store.get(MARK_KEY))) await store.txn({ compare: [{ key: MARK_KEY, modRevision: 0 }], ops: [{ kind: 'put', key: MARK_KEY, value: Buffer.from('{}') }] })
    await copying.last
  } catch (error) {
    watch.close()
    throw error
  }

  /** Again where somebody else was faster. `next` gives what it got where nothing is to be changed. */
  async function change(next: (keys: StoredKeys | undefined) => StoredKeys): Promise<void> {
    for (let attempts = 1; attempts <= ATTEMPTS; attempts++) {
      const { keys, revision } = now
      const wanted = next(keys)
      if (wanted === keys) return
      const result = await store.txn({ compare: [{ key: KEYS_KEY, modRevision: revision }], ops: [{ kind: 'put', key: KEYS_KEY, value: wrapKeys(wanted, wrapping, random) }] })
      const current = result.ok ? await store.get(KEYS_KEY) : result.current
      if (current) take(current)
      if (result.ok) return
    }
    throw new CodedError('STORE_UNAVAILABLE', 'other servers change the keys of encryption at rest again and again: try again')
  }
  const changed = async (next: (keys: StoredKeys) => StoredKeys): Promise<void> => {
    await change((keys) => {
      if (!keys) throw notEncrypted()
      return next(keys)
    })
    await copying.last
  }

  return {
    store: sealed,
    checks: [{ name: 'encryption-keys', live: false, problem: () => now.problem }],
    metrics: () => transforms.all(),
    names: () => (now.keys ? keysOf(now.keys.configuration).map((k) => k.name) : []),
    rotate: () => changed((keys) => rotated(keys, newKey())),
    forget: () => changed(withoutOld),
    reload() { /* what counts is in the store */ },
    close: () => watch.close(),
  }
}

const notEncrypted = (): CodedError => new CodedError('NOT_ENCRYPTED', 'Secrets are not encrypted with keys of skiff\'s own: start skiff server with --secrets-encryption first')

/** All changes from now on. */
function followKeys(store: Store, take: (kv: KeyValue) => void): Watch {
  for (;;) {
    try {
      return store.watch({ prefix: KEYS_KEY, afterRevision: store.revision() }, (events) => { for (const { current } of events) if (current?.key === KEYS_KEY) take(current) })
    } catch (error) {
      // The state of another server was taken over in between.
      if (!hasCode(error, 'STORE_COMPACTED')) throw error
    }
  }
}
