/** Opens the LevelDB database of the level store: the only place that loads the native addon. */
import { mkdirSync } from 'node:fs'
import type { LevelDatabase } from './store-level.ts'

/** Sized for boards: bytes of block cache and of the write buffer; LevelDB may hold two of the latter. */
const CACHE_BYTES = 4 * 1024 * 1024
const WRITE_BUFFER_BYTES = 2 * 1024 * 1024

export function levelOpener(directory: string): () => Promise<LevelDatabase> {
  return async () => {
    const { ClassicLevel } = await import('classic-level')
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const db: LevelDatabase = new ClassicLevel<string, Buffer>(directory, {
      keyEncoding: 'utf8', valueEncoding: 'buffer', cacheSize: CACHE_BYTES, writeBufferSize: WRITE_BUFFER_BYTES, multithreading: false,
    })
    await db.open()
    return db
  }
}
