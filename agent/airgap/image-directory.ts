/**
 * `<data-dir>/agent/images/`: archives put there are imported before pods start and whenever they come or change, so
 * that a node needs no registry. Text files list images to pull, one a line. What cannot be imported is told in one line and
 * does not keep anything else from starting.
 */
import { mkdir, readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { aborted, unlessAborted } from '#base/abort.ts'
import { writeFileAtomic } from '#base/atomic-file.ts'
import type { Clock } from '#base/clock.ts'
import { createDirectoryWatch } from '#base/directory-watch.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { applyAction, type Effects } from '#base/reconcile/action.ts'
import type { Image, ImageService } from '#cri/index.ts'
import { decideAirgap, type AirgapAction, type ArchiveFile, type FileMark, type ImportStamp } from './decide.ts'

export interface ImageDirectoryDeps {
  runtime: Pick<ImageService, 'importImages' | 'pullImage' | 'listImages'>
  /** The agent's: `<data-dir>/agent`. */
  dataDir: string
  clock: Clock
  log: Log
}

export interface ImageDirectory {
  /** Imports what is there and not imported yet; what has to be pulled is only begun. Never rejects. */
  importAll(signal: AbortSignal): Promise<void>
  /** Goes on importing what comes until the signal aborts. */
  run(signal: AbortSignal): Promise<void>
}

/** Enough for a slow card to go on with the copy. */
const QUIET_MS = 1_000
const QUIET_MS_MAX = 30_000
const LIST_BYTES_MAX = 256 * 1024

export function createImageDirectory({ runtime, dataDir, clock, log: parent }: ImageDirectoryDeps): ImageDirectory {
  const directory = join(dataDir, 'images')
  const stampFile = join(dataDir, 'image-imports.json')
  const log = parent.with('images')
  const failed: Record<string, FileMark> = {}
  let stamps: Record<string, ImportStamp> | undefined
  /** One look at a time, in order. */
  let looking: Promise<void> = Promise.resolve()

  const remember = async (file: ArchiveFile, imageIds: readonly string[]) => {
    stamps = { ...stamps, [file.name]: { sizeBytes: file.sizeBytes, modifiedMs: file.modifiedMs, imageIds } }
    await writeFileAtomic(stampFile, JSON.stringify(stamps))
  }
  const fail = (file: ArchiveFile, what: string, error: unknown) => {
    failed[file.name] = { sizeBytes: file.sizeBytes, modifiedMs: file.modifiedMs }
    log.error(`${what}: put a whole one there, or remove it`, { file: join(directory, file.name), error: asError(error) })
  }

  const effects: Effects<AirgapAction> = {
    async importArchive({ file }, signal) {
      const path = join(directory, file.name)
      const startedMs = clock.monotonicMs()
      let images: Image[]
      try {
        images = await runtime.importImages(path)
      } catch (error) {
        if (!signal.aborted) fail(file, 'an image archive could not be imported', error)
        return
      }
      for (const image of images) log.info('imported image', { image: image.repoTags.at(0) ?? image.id, file: file.name, sizeBytes: image.sizeBytes, tookMs: Math.round(clock.monotonicMs() - startedMs) })
      await remember(file, images.map((i) => i.id))
    },
    async pullList({ file }, signal) {
      const path = join(directory, file.name)
      if (file.sizeBytes > LIST_BYTES_MAX) return fail(file, `a list of images is larger than ${LIST_BYTES_MAX / 1024} KiB`, new Error(`${file.sizeBytes} bytes`))
      const names = (await readFile(path, 'utf8')).split('\n').map((l) => l.trim()).filter((l) => l !== '' && !l.startsWith('#'))
      const ids: string[] = []
      for (const name of names) {
        try {
          const image = await runtime.pullImage(name, { signal })
          ids.push(image.id)
          log.info('pulled image', { image: name, file: file.name, sizeBytes: image.sizeBytes })
        } catch (error) {
          if (signal.aborted) return
          failed[file.name] = { sizeBytes: file.sizeBytes, modifiedMs: file.modifiedMs }
          log.error('an image of a list could not be pulled: pods that need it try again', { image: name, file: path, error: asError(error) })
        }
      }
      if (ids.length === names.length) await remember(file, ids)
    },
    async forget({ name }) {
      // The images stay: something may run on them.
      stamps = Object.fromEntries(Object.entries(stamps ?? {}).filter(([n]) => n !== name))
      await writeFileAtomic(stampFile, JSON.stringify(stamps))
    },
  }

  const look = async (signal: AbortSignal, pulls: (work: () => Promise<void>) => Promise<void>) => {
    await mkdir(directory, { recursive: true, mode: 0o755 })
    stamps ??= await readStamps(stampFile)
    const present = new Set((await runtime.listImages()).map((i) => i.id))
    for (const action of decideAirgap({ files: await filesIn(directory), stamps, failed, present }).actions) {
      if (signal.aborted) return
      if (action.kind === 'pullList') await pulls(() => applyAction(effects, action, signal))
      else await applyAction(effects, action, signal)
    }
  }
  const lookInTurn = (signal: AbortSignal, pulls: (work: () => Promise<void>) => Promise<void>) => {
    looking = looking.then(() => look(signal, pulls)).catch((error: unknown) => {
      if (!signal.aborted) log.error('the directory of image archives cannot be read', { directory, error: asError(error) })
    })
    return looking
  }

  return {
    // A registry that is away must not keep pods from starting: lists wait for `run`.
    importAll: (signal) => unlessAborted(signal, lookInTurn(signal, () => Promise.resolve())),
    async run(signal) {
      if (signal.aborted) return
      const watch = createDirectoryWatch({ clock, quietMs: QUIET_MS, quietMsMax: QUIET_MS_MAX, onQuiet: () => {
        watch.watch([directory])
        void lookInTurn(signal, (work) => work())
      } })
      watch.watch([directory])
      void lookInTurn(signal, (work) => work())
      await aborted(signal)
      // What is being imported is not waited for: half of it is nothing, and the next start begins again.
      watch.close()
    },
  }
}

async function filesIn(directory: string): Promise<ArchiveFile[]> {
  const files: ArchiveFile[] = []
  for (const name of (await readdir(directory)).sort()) {
    try {
      const found = await stat(join(directory, name))
      // Whatever is no file (a pipe, say) would be waited for.
      if (found.isFile()) files.push({ name, sizeBytes: found.size, modifiedMs: Math.floor(found.mtimeMs) })
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
    }
  }
  return files
}

/** Losing them costs a second import. */
async function readStamps(path: string): Promise<Record<string, ImportStamp>> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'))
    if (typeof value !== 'object' || value === null) return {}
    const isStamp = (s: unknown): s is ImportStamp => typeof s === 'object' && s !== null && Array.isArray((s as ImportStamp).imageIds)
    return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, ImportStamp] => isStamp(entry[1])))
  } catch (error) {
    if (hasCode(error, 'ENOENT') || error instanceof SyntaxError) return {}
    throw error
  }
}
