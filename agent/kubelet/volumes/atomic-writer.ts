/**
 * Replaces the files of a payload volume all at once, as upstream's atomic writer lays them out: the data in a
 * timestamped directory, `..data` a symlink to it swapped by rename, each visible name a symlink through `..data`.
 */
import { chmod, chown, lstat, mkdir, readdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { CodedError, hasCode } from '#base/errors.ts'
import { pathExists } from '#base/path-exists.ts'
import type { Payload } from './payload.ts'

const DATA_LINK = '..data'
const NEW_DATA_LINK = '..data_tmp'
/** chown(2): this one stays as it is. */
const SAME = -1

/** Returns whether anything changed. `stamp` names the new directory: a time, and something no other write has. `prepare` is done with the written files before anybody sees them. */
export async function writeAtomically(dir: string, wanted: Payload, stamp: string, prepare?: () => Promise<void>): Promise<boolean> {
  for (const path of wanted.keys()) checkPath(path)
  const payload: Payload = new Map([...wanted].map(([path, file]) => [posix.normalize(path).replace(/\/$/, ''), file]))
  const current = await maybeReadlink(join(dir, DATA_LINK))
  if (current !== undefined && (await holds(join(dir, current), payload))) {
    await linkNames(dir, payload)
    return false
  }
  const fresh = `..${stamp}`
  await mkdir(join(dir, fresh), { mode: 0o755 })
  // mkdir's mode is cut by the umask.
  await chmod(join(dir, fresh), 0o755)
  for (const [path, file] of payload) {
    const full = join(dir, fresh, path)
    await mkdir(dirname(full), { recursive: true, mode: 0o755 })
    await writeFile(full, file.data, { mode: file.mode })
    await chmod(full, file.mode)
    if (file.uid !== undefined) await chown(full, file.uid, SAME)
  }
  await prepare?.()
  await rm(join(dir, NEW_DATA_LINK), { force: true })
  await symlink(fresh, join(dir, NEW_DATA_LINK))
  await rename(join(dir, NEW_DATA_LINK), join(dir, DATA_LINK))
  await linkNames(dir, payload)
  await removeStale(dir, fresh, payload)
  return true
}

/** It has been written before. */
export async function isWritten(dir: string): Promise<boolean> {
  return (await maybeReadlink(join(dir, DATA_LINK))) !== undefined
}

/** Upstream's maxPathLength and maxFileNameLength. */
const PATH_BYTES_MAX = 4096
const NAME_BYTES_MAX = 255

function checkPath(path: string): void {
  const problem = pathProblem(path)
  if (problem !== undefined) throw new CodedError('VOLUME_INVALID', `invalid path: ${problem}`)
}

function pathProblem(path: string): string | undefined {
  const parts = path.split('/')
  if (path === '') return 'must not be empty: ""'
  if (path.startsWith('/')) return `must be relative path: ${path}`
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) return `must be less than or equal to ${PATH_BYTES_MAX} characters`
  if (parts.includes('..')) return `must not contain '..': ${path}`
  if (parts.some((part) => Buffer.byteLength(part) > NAME_BYTES_MAX)) return `filenames must be less than or equal to ${NAME_BYTES_MAX} characters`
  // Behind a dot, too: what begins so is this writer's.
  if (posix.normalize(path).startsWith('..')) return `must not start with '..': ${path}`
  return undefined
}

async function holds(dir: string, payload: Payload): Promise<boolean> {
  const files = await filesBelow(dir)
  if (files.length !== payload.size) return false
  for (const [path, file] of payload) {
    try {
      const full = join(dir, path)
      if (!(await readFile(full)).equals(file.data)) return false
      // The group's bits may have been widened by fsGroup since.
      if (((await lstat(full)).mode & 0o707) !== (file.mode & 0o707)) return false
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return false
      throw error
    }
  }
  return true
}

async function filesBelow(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir, { recursive: true, withFileTypes: true })).filter((e) => !e.isDirectory()).map((e) => e.name)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

const topNames = (payload: Payload): Set<string> => new Set([...payload.keys()].map((p) => p.split('/')[0] ?? p))

async function linkNames(dir: string, payload: Payload): Promise<void> {
  for (const name of topNames(payload)) {
    const link = join(dir, name)
    // Another volume may be mounted there: its directory stays.
    if (await pathExists(link)) continue
    await symlink(`${DATA_LINK}/${name}`, link)
  }
}

async function removeStale(dir: string, fresh: string, payload: Payload): Promise<void> {
  const wanted = topNames(payload)
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    if (entry.name === DATA_LINK || entry.name === fresh) continue
    const old = entry.name.startsWith('..') || (entry.isSymbolicLink() && !wanted.has(entry.name))
    if (old) await rm(join(dir, entry.name), { recursive: true, force: true })
  }
}

async function maybeReadlink(path: string): Promise<string | undefined> {
  try {
    return await readlink(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}
