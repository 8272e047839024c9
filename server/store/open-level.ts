/** Opens the LevelDB database that the replicated store and its log share: the only place that loads the native addon. */
import { mkdirSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ClassicLevel } from 'classic-level'
import { WRITE_BACK, type WriteBack } from './write-back.ts'

export type LevelDatabase = ClassicLevel<string, Buffer>

/** Of the block cache; sized for boards. */
const CACHE_BYTES = 4 * 1024 * 1024

export function levelOpener(directory: string, { bufferBytes }: Pick<WriteBack, 'bufferBytes'> = WRITE_BACK.normal): () => Promise<LevelDatabase> {
  return async () => {
    const { ClassicLevel } = await import('classic-level')
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const db: LevelDatabase = new ClassicLevel<string, Buffer>(directory, {
      keyEncoding: 'utf8', valueEncoding: 'buffer', cacheSize: CACHE_BYTES, writeBufferSize: bufferBytes, multithreading: false,
    })
    await db.open()
    // LevelDB leaves the new name of its CURRENT to the file system, which may forget it while it keeps what is synced
    // later: a database just made would then be found damaged.
    for (const path of [directory, dirname(directory)]) await syncDirectory(path)
    return db
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
