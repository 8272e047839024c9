/**
 * The pods of this node on disk, so that a restart while the server is away finds them, with when each began to end.
 * One file a pod, written only when its spec or deletion changes; ConfigMaps and Secrets that pods use are kept
 * encrypted (AES-256-GCM, key beside them, mode 0600).
 */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import { chmod, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { KubeObject, Pod, Stored } from '#api/types/index.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { ObjectStore } from './objects.ts'
import type { Allocation } from './resize.ts'
import type { TokenStore } from './volumes/tokens.ts'

export interface PodRecord { pod: Stored<Pod>; endingSinceMs?: number; allocation?: Allocation; resizing?: number }

export interface PodStore extends ObjectStore, TokenStore {
  loadPods(): Promise<PodRecord[]>
  /** The status is kept as last known: it says what had run. */
  savePod(record: PodRecord): Promise<void>
  removePod(uid: string): Promise<void>
}

const RECORD_BYTES_MAX = 4 * 1024 * 1024

export async function openPodStore(dir: string, { random, log }: { random: Random; log: Log }): Promise<PodStore> {
  const pods = join(dir, 'known-pods')
  const objects = join(dir, 'known-objects')
  for (const d of [pods, objects]) {
    await mkdir(d, { recursive: true, mode: 0o700 })
    await chmod(d, 0o700)
  }
  const key = await loadKey(join(dir, 'known-objects.key'), random)
  /** Writes of one file, one after another: the last wish is what stays. */
  const turns = new Map<string, Promise<void>>()
  const inTurn = async (key: string, work: () => Promise<void>): Promise<void> => {
    const turn = (turns.get(key) ?? Promise.resolve()).catch(() => {}).then(work) // Who asked for the one before heard of its failure.
    turns.set(key, turn)
    try {
      await turn
    } finally {
      if (turns.get(key) === turn) turns.delete(key)
    }
  }
  const seal = (value: unknown): Buffer => {
    const iv = random.bytes(12)
    const cipher = createCipheriv('aes-256-gcm', key, iv)
    const sealed = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()])
    return Buffer.concat([iv, cipher.getAuthTag(), sealed])
  }
  const unseal = (path: string, sealed: Buffer | undefined): unknown => {
    if (!sealed || sealed.length < 28) return undefined
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12))
      decipher.setAuthTag(sealed.subarray(12, 28))
      return JSON.parse(Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]).toString('utf8'))
    } catch (error) {
      log.warn('a copy on disk cannot be read and is ignored', { file: path, error: asError(error) })
      return undefined
    }
  }
  const tokensPath = (uid: string) => join(pods, `${uid}.tokens`)
  const objectPath = (kind: string, namespace: string, name: string) => join(objects, createHash('sha256').update(`${kind}/${namespace}/${name}`).digest('hex').slice(0, 40))

  return {
    async loadPods() {
      const records: PodRecord[] = []
      for (const name of await readdir(pods)) {
        if (!name.endsWith('.json')) continue
        const record = parseRecord(await maybeRead(join(pods, name)))
        if (record) records.push(record)
        else log.warn('a pod record on disk is damaged and is ignored; the server knows the pod', { file: join(pods, name) })
      }
      return records
    },
    savePod: (record) => inTurn(record.pod.metadata.uid, () => writeDurably(join(pods, `${record.pod.metadata.uid}.json`), Buffer.from(JSON.stringify(record)))),
    removePod: (uid) => inTurn(uid, async () => {
      await rm(join(pods, `${uid}.json`), { force: true })
      await rm(tokensPath(uid), { force: true })
    }),
    async save(kind, namespace, name, object) {
      const path = objectPath(kind, namespace, name)
      await inTurn(path, () => writeDurably(path, seal(object)))
    },
    async saveToken(uid, tokenKey, token) {
      const path = tokensPath(uid)
      await inTurn(uid, async () => {
        const before = unseal(path, await maybeRead(path)) as Record<string, string> | undefined
        await writeDurably(path, seal({ ...before, [tokenKey]: token }))
      })
    },
    async loadToken(uid, tokenKey) {
      const path = tokensPath(uid)
      return (unseal(path, await maybeRead(path)) as Record<string, string> | undefined)?.[tokenKey]
    },
    remove(kind, namespace, name) {
      const path = objectPath(kind, namespace, name)
      return inTurn(path, () => rm(path, { force: true }))
    },
    async load(kind, namespace, name) {
      const path = objectPath(kind, namespace, name)
      return unseal(path, await maybeRead(path)) as KubeObject | undefined
    },
  }
}

async function loadKey(path: string, random: Random): Promise<Buffer> {
  const found = await maybeRead(path)
  if (found?.length === 32) return found
  if (found) throw new CodedError('STORE_DAMAGED', `${path} does not hold a 32-byte key: remove it and the directory beside it, copies of objects are then fetched again`)
  const key = random.bytes(32)
  await writeDurably(path, key)
  return key
}

function parseRecord(data: Buffer | undefined): PodRecord | undefined {
  if (!data || data.length > RECORD_BYTES_MAX) return undefined
  try {
    const record = JSON.parse(data.toString('utf8')) as Partial<PodRecord> | null
    return typeof record?.pod?.metadata?.uid === 'string' && typeof record.pod.metadata.name === 'string' ? (record as PodRecord) : undefined
  } catch {
    return undefined // A write cut short by a power failure; the caller says so.
  }
}

/** A new file, synced, renamed into place: never half of one. */
async function writeDurably(path: string, data: Buffer): Promise<void> {
  const fresh = `${path}.new`
  const file = await open(fresh, 'w', 0o600)
  try {
    await file.writeFile(data)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(fresh, path)
}

async function maybeRead(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}
