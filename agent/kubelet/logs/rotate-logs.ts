/** Keeps container logs within bounds: over `maxBytes` a log is renamed and reopened, older ones gzipped, the oldest dropped (upstream's container log manager). */
import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { hasCode } from '#base/errors.ts'
import { rotatedLogs } from './read-logs.ts'

export interface RotateOptions {
  maxBytes: number
  /** The present one included. */
  maxFiles: number
  nowMs: number
  reopen(): Promise<void>
}

/** Returns whether it was rotated. */
export async function rotateLog(path: string, options: RotateOptions): Promise<boolean> {
  if ((await sizeOf(path)) < options.maxBytes) return false
  await cleanUp(path, options.maxFiles)
  const stamp = new Date(options.nowMs).toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15)
  const rotated = `${path}.${stamp}`
  await rename(path, rotated)
  try {
    await options.reopen()
  } catch (error) {
    // The writer still holds the old file: under its old name nothing is lost.
    await rename(rotated, path)
    throw error
  }
  return true
}

/** Room for one more, all but the newest compressed. */
async function cleanUp(path: string, maxFiles: number): Promise<void> {
  const files = await rotatedLogs(path)
  for (const half of files.filter((f) => f.endsWith('.tmp'))) await rm(half, { force: true })
  const whole = files.filter((f) => !f.endsWith('.tmp'))
  // The present log and the one about to be rotated stand beside these.
  const surplus = Math.max(0, whole.length - Math.max(0, maxFiles - 2))
  for (const old of whole.slice(0, surplus)) await rm(old, { force: true })
  for (const file of whole.slice(surplus)) if (!file.endsWith('.gz')) await compress(file)
}

async function compress(path: string): Promise<void> {
  const half = `${path}.tmp`
  await pipeline(createReadStream(path), createGzip(), createWriteStream(half, { mode: 0o640 }))
  await rename(half, `${path}.gz`)
  await rm(path, { force: true })
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 0
    throw error
  }
}
