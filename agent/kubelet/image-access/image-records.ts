/**
 * What is known of how images came here: `<root-dir>/image_manager/pulled/` one file per image, `pulling/` one per pull under way, in upstream's
 * names and form. Held in memory, as images are few. What cannot be read counts as pulled with credentials that nobody knows.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic } from '#base/atomic-file.ts'
import { asError } from '#base/errors.ts'
import { KeyedLock } from '#base/keyed-lock.ts'
import type { Log } from '#base/log.ts'
import type { PulledRecord } from './access.ts'

export interface ImageRecords {
  /** By the image's id. */
  get(imageRef: string): PulledRecord | undefined
  /** A pull of this name is under way, or was when an agent was killed. */
  isIntended(image: string): boolean
  /** Names whose pulls an earlier agent did not see end. */
  readonly unfinished: readonly string[]
  put(record: PulledRecord): Promise<void>
  /** Before a pull; each is followed by one `settle`. Throws when it cannot be kept. */
  intend(image: string): Promise<void>
  settle(image: string): Promise<void>
  /** Forgets images that are gone, but none that came after `untilMs`. */
  prune(present: ReadonlySet<string>, untilMs: number): Promise<void>
}

interface Kept { kind?: unknown; image?: unknown; imageRef?: unknown; lastUpdatedTime?: unknown; credentialMapping?: unknown }

const API_VERSION = 'kubelet.config.k8s.io/v1beta1'
const fileOf = (name: string): string => `sha256-${createHash('sha256').update(name).digest('hex')}`

export async function openImageRecords(rootDir: string, log: Log): Promise<ImageRecords> {
  const [pulled, pulling] = [join(rootDir, 'image_manager', 'pulled'), join(rootDir, 'image_manager', 'pulling')]
  const records = new Map<string, PulledRecord>()
  const damaged = new Set<string>()
  const intents = new Map<string, number>()
  const unfinished: string[] = []
  const lock = new KeyedLock()
  for (const directory of [pulled, pulling]) {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    for (const file of await readdir(directory)) {
      if (!file.startsWith('sha256-')) continue
      const path = join(directory, file)
      try {
        const kept = JSON.parse(await readFile(path, 'utf8')) as Kept
        if (directory === pulling) unfinished.push(String(kept.image))
        else if (typeof kept.imageRef === 'string' && typeof kept.credentialMapping === 'object' && kept.credentialMapping !== null) records.set(kept.imageRef, { imageRef: kept.imageRef, lastUpdatedTime: String(kept.lastUpdatedTime), credentialMapping: kept.credentialMapping as PulledRecord['credentialMapping'] })
        else damaged.add(file)
      } catch (error) {
        damaged.add(file)
        log.warn('it is not known any more how an image came here: pods show their credentials again', { path, error: asError(error) })
      }
    }
  }
  for (const image of unfinished) intents.set(image, 1)

  return {
    get: (imageRef) => records.get(imageRef) ?? (damaged.has(fileOf(imageRef)) ? { imageRef, lastUpdatedTime: '', credentialMapping: {} } : undefined),
    isIntended: (image) => intents.has(image),
    unfinished,
    async put(record) {
      await writeFileAtomic(join(pulled, fileOf(record.imageRef)), JSON.stringify({ kind: 'ImagePulledRecord', apiVersion: API_VERSION, ...record }), { mode: 0o600 })
      records.set(record.imageRef, record)
      damaged.delete(fileOf(record.imageRef))
    },
    intend: (image) => lock.run(image, async () => {
      const count = intents.get(image) ?? 0
      intents.set(image, count + 1)
      if (count > 0) return
      try {
        await writeFileAtomic(join(pulling, fileOf(image)), JSON.stringify({ kind: 'ImagePullIntent', apiVersion: API_VERSION, image }), { mode: 0o600 })
      } catch (error) {
        intents.delete(image)
        throw error
      }
    }),
    settle: (image) => lock.run(image, async () => {
      const left = (intents.get(image) ?? 1) - 1
      if (left > 0) intents.set(image, left)
      else {
        await rm(join(pulling, fileOf(image)), { force: true })
        intents.delete(image)
      }
    }),
    async prune(present, untilMs) {
      for (const { imageRef, lastUpdatedTime } of Array.from(records.values())) {
        // Times are kept in whole seconds.
        if (present.has(imageRef) || Date.parse(lastUpdatedTime) >= untilMs - 1_000) continue
        await rm(join(pulled, fileOf(imageRef)), { force: true })
        records.delete(imageRef)
      }
      const files = new Set([...present].map(fileOf))
      for (const file of Array.from(damaged).filter((f) => !files.has(f))) {
        await rm(join(pulled, file), { force: true })
        damaged.delete(file)
      }
    },
  }
}
