/** hostPath volumes: the path is used as it is, once its type is what was asked for. */
import { chmod, mkdir, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CodedError, hasCode } from '#base/errors.ts'
import type { HostPathVolumeSource } from '#api/types/index.ts'
import type { Stats } from 'node:fs'

const TYPES: ReadonlySet<string> = new Set(['Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket', 'CharDevice', 'BlockDevice'])

export async function checkHostPath({ path, type = '' }: HostPathVolumeSource): Promise<void> {
  if (path.split('/').includes('..')) throw new CodedError('VOLUME_INVALID', `invalid HostPath \`${path}\`: must not contain '..'`)
  if (type === '') return
  const info = await maybeStat(path)
  if (!info && type === 'DirectoryOrCreate') {
    await mkdir(path, { recursive: true })
    await chmod(path, 0o755)
    return
  }
  if (!info && type === 'FileOrCreate') {
    if (!(await maybeStat(dirname(path)))) throw new CodedError('VOLUME_INVALID', `open ${path}: no such file or directory`)
    await (await open(path, 'a', 0o644)).close()
    return
  }
  if (!TYPES.has(type)) throw new CodedError('VOLUME_INVALID', `${type} is an invalid volume type`)
  const problem = mismatch(type, info)
  if (problem !== undefined) throw new CodedError('VOLUME_INVALID', `hostPath type check failed: ${path} ${problem}`)
}

function mismatch(type: string, info: Stats | undefined): string | undefined {
  switch (type) {
    case 'Directory': case 'DirectoryOrCreate': return info?.isDirectory() ? undefined : 'is not a directory'
    case 'File': case 'FileOrCreate': return info?.isFile() ? undefined : 'is not a file'
    case 'Socket': return info?.isSocket() ? undefined : 'is not a socket file'
    case 'CharDevice': return info?.isCharacterDevice() ? undefined : 'is not a character device'
    case 'BlockDevice': return info?.isBlockDevice() ? undefined : 'is not a block device'
    default: return undefined
  }
}

async function maybeStat(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined
    throw error
  }
}
