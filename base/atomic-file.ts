/**
 * Files that are either the old or the new content after a power cut, never half: written beside, synced, renamed,
 * and the directory synced too. `mode` is set at creation, so a secret is never readable by others for an instant.
 */
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

export interface AtomicFileOptions {
  mode?: number
  /** For directories that have to be made on the way. */
  directoryMode?: number
}

export async function writeFileAtomic(path: string, content: string | Buffer, options: AtomicFileOptions = {}): Promise<void> {
  const directory = dirname(path)
  await mkdir(directory, { recursive: true, mode: options.directoryMode ?? 0o755 })
  // One fixed name per target: what a crash leaves behind is overwritten by the next attempt instead of piling up.
  const temporary = join(directory, `.${basename(path)}.tmp`)
  await rm(temporary, { force: true })
  const file = await open(temporary, 'wx', options.mode ?? 0o644)
  try {
    await file.chmod(options.mode ?? 0o644)
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  await syncDirectory(directory)
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
