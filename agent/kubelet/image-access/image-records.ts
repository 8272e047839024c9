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
import { pathExists } from '#base/path-exists.ts'
import type { PulledRecord } from './access.ts'

export interface ImageRecords {
  /** By the image's id. */
  get(imageRef: string): PulledRecord | undefined
  /** The same, unless somebody has removed its file: he does not want it to count any more. For what is written next. */
  kept(imageRef: string): Promise<PulledRecord | undefined>
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
/** Times are kept in whole seconds. */
const TIME_STEP_MS = 1_000
const fileOf = (name: string): string => `sha256-${createHash('sha256').update(name).digest('hex')}`

export async function openImageRecords(rootDir: string, log: Log): Promise<ImageRecords> {
  const [pulled, pulling] = [join(rootDir, 'image_manager', 'pulled'), join(rootDir, 'image_manager', 'pulling')]
  const records = new Map<string, PulledRecord>()
  /** Files that cannot be read. They are named after an image each: of that one it is known at least that it was pulled here. */
  const damaged = { pulled: new Set<string>(), pulling: new Set<string>() }
  const intents = new Map<string, number>()
  const unfinished: string[] = []
  const lock = new KeyedLock()
  /** Of the files in `pulled`, by their names. */
  const change = new KeyedLock()
  for (const directory of [pulled, pulling]) {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    for (const file of await readdir(directory)) {
      if (!file.startsWith('sha256-')) continue
      const path = join(directory, file)
      try {
        const kept = JSON.parse(await readFile(path, 'utf8')) as Kept
        if (directory === pulling) unfinished.push(imageOf(kept))
        else records.set(...recordOf(kept))
      } catch (error) {
        damaged[directory === pulling ? 'pulling' : 'pulled'].add(file)
        log.warn('it is not known any more how an image came here: pods show their credentials again', { path, error: asError(error) })
      }
    }
  }
  for (const image of unfinished) intents.set(image, 1)

  const get = (imageRef: string): PulledRecord | undefined => records.get(imageRef) ?? (damaged.pulled.has(fileOf(imageRef)) ? { imageRef, lastUpdatedTime: '', credentialMapping: {} } : undefined)

  return {
    get,
    kept: async (imageRef) => ((await pathExists(join(pulled, fileOf(imageRef)))) ? get(imageRef) : undefined),
    isIntended: (image) => intents.has(image) || damaged.pulling.has(fileOf(image)),
    unfinished,
    put: (record) => change.run(fileOf(record.imageRef), async () => {
      const file = fileOf(record.imageRef)
      await writeFileAtomic(join(pulled, file), JSON.stringify({ kind: 'ImagePulledRecord', apiVersion: API_VERSION, ...record }), { mode: 0o600, directoryMode: 0o700 })
      records.set(record.imageRef, record)
      damaged.pulled.delete(file)
    }),
    intend: (image) => lock.run(image, async () => {
      const count = intents.get(image) ?? 0
      intents.set(image, count + 1)
      if (count > 0) return
      try {
        await writeFileAtomic(join(pulling, fileOf(image)), JSON.stringify({ kind: 'ImagePullIntent', apiVersion: API_VERSION, image }), { mode: 0o600, directoryMode: 0o700 })
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
        damaged.pulling.delete(fileOf(image))
      }
    }),
    async prune(present, untilMs) {
      const isGone = ({ imageRef, lastUpdatedTime }: PulledRecord) => !present.has(imageRef) && Date.parse(lastUpdatedTime) < untilMs - TIME_STEP_MS
      for (const { imageRef } of [...records.values()].filter(isGone)) {
        await change.run(fileOf(imageRef), async () => {
          // It may have been pulled again while others were removed.
          const now = records.get(imageRef)
          if (!now || !isGone(now)) return
          await rm(join(pulled, fileOf(imageRef)), { force: true })
          records.delete(imageRef)
        })
      }
      const files = new Set([...present].map(fileOf))
      for (const file of [...damaged.pulled].filter((f) => !files.has(f))) {
        await change.run(file, async () => {
          if (!damaged.pulled.has(file)) return
          await rm(join(pulled, file), { force: true })
          damaged.pulled.delete(file)
        })
      }
    },
  }
}

/** Throws for what is no intent. */
function imageOf({ image }: Kept): string {
  if (typeof image !== 'string') throw new Error('it names no image')
  return image
}

/** Throws for what is no record. */
function recordOf({ imageRef, lastUpdatedTime, credentialMapping }: Kept): [string, PulledRecord] {
  if (typeof imageRef !== 'string' || typeof credentialMapping !== 'object' || credentialMapping === null) throw new Error('it says nothing of an image')
  return [imageRef, { imageRef, lastUpdatedTime: String(lastUpdatedTime), credentialMapping: credentialMapping as PulledRecord['credentialMapping'] }]
}
