/** Opens the LevelDB database that the replicated store and its log share: the only place that loads the native addon. */
import { mkdirSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ClassicLevel } from 'classic-level'
import type { Log } from '#base/log.ts'
import { WRITE_BACK, type WriteBack } from './write-back.ts'

export type LevelDatabase = ClassicLevel<string, Buffer>

/** Of the block cache; sized for boards. */
const CACHE_BYTES = 4 * 1024 * 1024

/** `log` is told what LevelDB had to leave out. */
export function levelOpener(directory: string, { bufferBytes }: Pick<WriteBack, 'bufferBytes'> = WRITE_BACK.normal, log?: Log): () => Promise<LevelDatabase> {
  return async () => {
    const { ClassicLevel } = await import('classic-level')
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const db: LevelDatabase = new ClassicLevel<string, Buffer>(directory, {
      keyEncoding: 'utf8', valueEncoding: 'buffer', cacheSize: CACHE_BYTES, writeBufferSize: bufferBytes, multithreading: false,
    })
    await db.open()
    const bytes = await droppedBytes(directory)
    if (bytes > 0) log?.warn('a part of the newest file of the store was damaged and is left out: after a power cut that is what had not been acknowledged; otherwise changes are missing, so look after the disk, and restore a snapshot or, where there are other servers, let this one join again with its database moved away', { bytes, directory })
    // LevelDB leaves the new name of its CURRENT to the file system, which may forget it while it keeps what is synced
    // later: a database just made would then be found damaged.
    for (const path of [directory, dirname(directory)]) await syncDirectory(path)
    return db
  }
}

/** What LevelDB read over when it was opened; it says so in its own log alone. A write that was merely cut off is none. */
async function droppedBytes(directory: string): Promise<number> {
  const said = await readFile(join(directory, 'LOG'), 'utf8').catch(() => '')
  return said.matchAll(/dropping (\d+) bytes/g).reduce((sum, [, bytes]) => sum + Number(bytes), 0)
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
