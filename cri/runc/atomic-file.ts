/** Files that are either the old content or the new, never half of one, whenever the process is killed. */
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { hasCode } from '#base/errors.ts'

/** `sync`: also survives a power cut once the promise resolves; costs two flushes of the medium. */
export async function writeFileAtomic(path: string, data: string | Buffer, options: { sync?: boolean; mode?: number } = {}): Promise<void> {
  const temporary = `${path}.tmp`
  try {
    const file = await open(temporary, 'w', options.mode ?? 0o600)
    try {
      await file.writeFile(data)
      if (options.sync) await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  if (options.sync) await syncDirectory(dirname(path))
}

/** Makes renames into the directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Undefined when the file is absent, empty or not JSON: after a power cut such a file says nothing. */
export async function readJsonFile(path: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
  try {
    return JSON.parse(text)
  } catch {
    // A half-written record counts as absent: its owner makes it anew or cleans up.
    return undefined
  }
}
