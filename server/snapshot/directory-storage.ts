/** Snapshots in a directory of this machine: each file whole or not there, for its owner alone. */
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { createReadStream, createWriteStream } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { pipeline } from 'node:stream/promises'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import { createdMsOf, type StoredSnapshot } from './names.ts'
import { checkSnapshotFile } from './snapshot-file.ts'
import type { SnapshotStorage } from './snapshot-storage.ts'

export const defaultSnapshotDirectory = (dataDir: string): string => join(dataDir, 'server', 'snapshots')

export interface DirectoryStorage extends SnapshotStorage {
  /** Takes the bytes in, checks them as they are on the disk, and only then calls them `name`. */
  write(name: string, bytes: AsyncIterable<Buffer>): Promise<StoredSnapshot>
  pathOf(name: string): string
}

export function directoryStorage(path: string): DirectoryStorage {
  const directory = resolve(path)
  const pathOf = (name: string) => join(directory, name)
  const unknown = (name: string, cause: unknown) => new CodedError('SNAPSHOT_UNKNOWN', `there is no snapshot ${name} in ${directory}; skiff snapshot list shows them`, { cause })

  async function describe(name: string): Promise<StoredSnapshot> {
    const { size, mtimeMs } = await stat(pathOf(name))
    return { name, location: pathToFileURL(pathOf(name)).href, sizeBytes: size, createdMs: createdMsOf(name) ?? mtimeMs }
  }

  /** One fixed name for what is being written: what a power cut leaves behind is overwritten by the next one. */
  const temporary = join(directory, '.snapshot.tmp')

  async function take(name: string, fill: () => Promise<void>): Promise<StoredSnapshot> {
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      await rm(temporary, { force: true })
      await fill()
      await synced(temporary)
      await checkSnapshotFile(temporary)
      await rename(temporary, pathOf(name))
      await synced(directory)
      return await describe(name)
    } catch (error) {
      await rm(temporary, { force: true })
      if (hasCode(error, 'ENOSPC')) throw new CodedError('DISK_FULL', `there is no room for a snapshot in ${directory}: free some, delete old ones (skiff snapshot prune), or pass another --snapshot-dir`, { cause: error })
      throw error
    }
  }

  return {
    place: directory,
    pathOf,
    async list() {
      let names: string[]
      try {
        names = await readdir(directory)
      } catch (error) {
        if (hasCode(error, 'ENOENT')) return []
        throw new CodedError('DIRECTORY_UNREADABLE', `the snapshots in ${directory} cannot be listed: ${asError(error).message}`, { cause: error })
      }
      const all = await Promise.all(names.filter((name) => createdMsOf(name) !== undefined).map(describe))
      return all.sort((a, b) => b.createdMs - a.createdMs)
    },
    write: (name, bytes) => take(name, () => pipeline(bytes, createWriteStream(temporary, { flags: 'wx', mode: 0o600 }))),
    put: (name, file) => take(name, () => copy(file, temporary)),
    async get(name, file) {
      await rm(file, { force: true })
      await copy(pathOf(name), file).catch((error: unknown) => { throw hasCode(error, 'ENOENT') ? unknown(name, error) : asError(error) })
    },
    async delete(name) {
      await rm(pathOf(name)).catch((error: unknown) => { throw hasCode(error, 'ENOENT') ? unknown(name, error) : asError(error) })
      await synced(dirname(pathOf(name)))
    },
  }
}

/** For its owner alone, whatever the first one was. */
const copy = (from: string, to: string): Promise<void> => pipeline(createReadStream(from), createWriteStream(to, { flags: 'wx', mode: 0o600 }))

/** A file's bytes, or a directory's names, are on the disk. */
export async function synced(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
