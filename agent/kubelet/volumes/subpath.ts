/**
 * subPath, safe against a container that swaps links in a volume it writes to: the path is resolved, checked to be
 * inside the volume, then opened again one component at a time without following any link; what was opened, not
 * what the name says later, is bound to a place of the agent's own.
 */
import { constants } from 'node:fs'
import { chmod, mkdir, open, realpath, rmdir, unlink, writeFile, type FileHandle } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { CodedError, hasCode } from '#base/errors.ts'
import type { Mounter } from './mounter.ts'

/** Linux's O_PATH, the same on x86-64 and arm64; node has no name for it. A handle to the thing without opening it: FIFOs and sockets too. */
const O_PATH = 0o10000000

/** What is missing of the path is made, as directories with the mode of the volume's own. */
export interface SubpathRequest { volumeDir: string; subPath: string; target: string }

/** Returns `target`, bound to the subpath. Idempotent: what was bound there before is replaced. Throws VOLUME_INVALID; SUBPATH_NOT_MADE of what is not there and may not or cannot be made. */
export async function bindSubpath(mounter: Mounter, request: SubpathRequest): Promise<string> {
  const { volumeDir, subPath, target } = request
  const parts = subPath.split('/').filter((p) => p !== '' && p !== '.')
  if (subPath.startsWith('/') || parts.includes('..')) throw new CodedError('VOLUME_INVALID', `subPath ${JSON.stringify(subPath)} must be relative and must not contain '..'`)
  const root = await realpath(volumeDir)
  const wanted = await resolveInside(root, parts)
  const handle = await openBelow(root, wanted, true)
  try {
    const info = await handle.stat()
    await unbindSubpath(mounter, target)
    await mkdir(info.isDirectory() ? target : dirname(target), { recursive: true, mode: 0o750 })
    if (!info.isDirectory()) await writeFile(target, '')
    await mounter.bind(`/proc/${process.pid}/fd/${handle.fd}`, target)
  } finally {
    await handle.close()
  }
  return target
}

export async function unbindSubpath(mounter: Mounter, target: string): Promise<void> {
  await mounter.unmount(target)
  try {
    await unlink(target)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return
    if (!hasCode(error, 'EISDIR') && !hasCode(error, 'EPERM')) throw error
    await rmdir(target)
  }
}

/** What a file of a volume holds, wherever links in it lead. Undefined: it is none, is not there, or holds more than `bytesMax`. */
export async function readInside(volumeDir: string, path: string, bytesMax: number): Promise<string | undefined> {
  const parts = path.split('/').filter((p) => p !== '' && p !== '.')
  if (parts.includes('..')) return undefined
  const root = await realpath(volumeDir)
  try {
    const handle = await openBelow(root, await resolveInside(root, parts), false)
    try {
      const info = await handle.stat()
      if (!info.isFile() || info.size > bytesMax) return undefined
      const readable = await open(`/proc/self/fd/${handle.fd}`, constants.O_RDONLY)
      try {
        // It may grow meanwhile.
        const { buffer, bytesRead } = await readable.read(Buffer.alloc(info.size), 0, info.size, 0)
        return buffer.toString('utf8', 0, bytesRead)
      } finally {
        await readable.close()
      }
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (hasCode(error, 'VOLUME_INVALID') || hasCode(error, 'SUBPATH_NOT_MADE') || hasCode(error, 'ENOTDIR')) return undefined
    throw error
  }
}

/** Follows links that stay inside (payload volumes are made of them); the part that does not exist yet is kept as written. */
async function resolveInside(root: string, parts: readonly string[]): Promise<string[]> {
  for (let existing = parts.length; existing >= 0; existing--) {
    let real: string
    try {
      real = await realpath(join(root, ...parts.slice(0, existing)))
    } catch (error) {
      if (hasCode(error, 'ENOENT')) continue
      throw new CodedError('VOLUME_INVALID', `subPath ${parts.join('/')} cannot be resolved`, { cause: error })
    }
    if (real !== root && !real.startsWith(`${root}/`)) throw new CodedError(existing < parts.length ? 'SUBPATH_NOT_MADE' : 'VOLUME_INVALID', `subPath ${parts.join('/')} leads out of its volume`)
    const inside = relative(root, real)
    return [...(inside === '' ? [] : inside.split('/')), ...parts.slice(existing)]
  }
  return [...parts]
}

async function openBelow(root: string, parts: readonly string[], create: boolean): Promise<FileHandle> {
  let handle = await open(root, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  try {
    const { mode } = await handle.stat()
    for (const part of parts) {
      const path = `/proc/self/fd/${handle.fd}/${part}`
      const next = await openOrMake(path, create ? mode & 0o7777 : undefined)
      await handle.close()
      handle = next
      // One that leads nowhere, or has become one since its path was resolved.
      if ((await handle.stat()).isSymbolicLink()) throw new CodedError('SUBPATH_NOT_MADE', `subPath ${parts.join('/')}: ${part} is a link that leads nowhere, or became one while it was being mounted`)
    }
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function openOrMake(path: string, mode: number | undefined): Promise<FileHandle> {
  try {
    return await open(path, O_PATH | constants.O_NOFOLLOW)
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
    if (mode === undefined) throw new CodedError('VOLUME_INVALID', `subPath ${path.slice(path.lastIndexOf('/') + 1)} does not exist`, { cause: error })
    await makeDirectory(path, mode)
    const made = await open(path, O_PATH | constants.O_NOFOLLOW)
    // The umask has taken bits away; whoever may write to the volume may write here. By what was opened, whatever has the name now.
    if ((await made.stat()).isDirectory()) await chmod(`/proc/self/fd/${made.fd}`, mode)
    return made
  }
}

async function makeDirectory(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { mode: mode & 0o777 })
  } catch (error) {
    throw new CodedError('SUBPATH_NOT_MADE', `subPath ${path.slice(path.lastIndexOf('/') + 1)} cannot be made`, { cause: error })
  }
}
