/** Opens the LevelDB database that the replicated store and its log share: the only place that loads the native addon. */
import { mkdirSync } from 'node:fs'
import { mkdtemp, open, readFile, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ClassicLevel } from 'classic-level'
import { CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { WRITE_BACK, type WriteBack } from './write-back.ts'

export type LevelDatabase = ClassicLevel<string, Buffer>

/** Of the block cache; sized for boards. */
const CACHE_BYTES = 4 * 1024 * 1024

/** What the name of a directory begins with in which a database is made. */
const MAKING = 'new-'

/** `log` is told what LevelDB had to leave out. Opening throws `STORE_CORRUPT` where there is a database without its first file. */
export function levelOpener(directory: string, { bufferBytes }: Pick<WriteBack, 'bufferBytes'> = WRITE_BACK.normal, log?: Log): () => Promise<LevelDatabase> {
  return async () => {
    const { ClassicLevel } = await import('classic-level')
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const at = (path: string): LevelDatabase => new ClassicLevel<string, Buffer>(path, {
      keyEncoding: 'utf8', valueEncoding: 'buffer', cacheSize: CACHE_BYTES, writeBufferSize: bufferBytes, multithreading: false,
    })
    if (!(await isMade(directory))) await make(directory, at)
    const db = at(directory)
    await db.open({ createIfMissing: false })
    const bytes = await droppedBytes(directory)
    if (bytes > 0) log?.warn('a part of the newest file of the store was damaged and is left out: after a power cut that is what had not been acknowledged; otherwise changes are missing, so look after the disk, and restore a snapshot or, where there are other servers, let this one join again with its database moved away', { bytes, directory })
    // LevelDB leaves the new name of its CURRENT to the file system, which may forget it while it keeps what is synced
    // later: a database just made would then be found damaged.
    for (const path of [directory, dirname(directory)]) await sync(path)
    return db
  }
}

/** LevelDB would make a new database where `CURRENT` is missing, and remove the files of the old one. */
async function isMade(directory: string): Promise<boolean> {
  const names = await readdir(directory)
  if (names.includes('CURRENT')) return true
  if (names.some((name) => /\.(log|ldb|sst)$/.test(name))) throw new CodedError('STORE_CORRUPT', `the store is damaged: ${join(directory, 'CURRENT')} is missing: restore a snapshot, or start with an empty data directory`)
  return false
}

/**
 * LevelDB makes a database in steps, of which a power cut may keep the last and not the first: it would be found damaged
 * at every start from then on. So it is made aside, and has its `CURRENT` when all that this leads to is on the disk.
 */
async function make(directory: string, at: (path: string) => LevelDatabase): Promise<void> {
  // What was not finished earlier.
  for (const name of await readdir(directory)) if (name.startsWith(MAKING)) await rm(join(directory, name), { recursive: true, force: true })
  const made = await mkdtemp(join(directory, MAKING))
  const db = at(made)
  await db.open()
  await db.close()
  // Its log is empty: nothing but these two is a database.
  for (const isCurrent of [false, true]) {
    for (const name of await readdir(made)) {
      if (isCurrent ? name !== 'CURRENT' : !name.startsWith('MANIFEST-')) continue
      await sync(join(made, name))
      await rename(join(made, name), join(directory, name))
    }
    await sync(directory)
  }
  await rm(made, { recursive: true, force: true })
}

/** What LevelDB read over when it was opened; it says so in its own log alone. A write that was merely cut off is none. */
async function droppedBytes(directory: string): Promise<number> {
  const said = await readFile(join(directory, 'LOG'), 'utf8').catch(() => '')
  return said.matchAll(/dropping (\d+) bytes/g).reduce((sum, [, bytes]) => sum + Number(bytes), 0)
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
