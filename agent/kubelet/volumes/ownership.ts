/** fsGroup: gives a volume's files to a group (upstream's pkg/volume SetVolumeOwnership). */
import { chmod, lchown, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'

const SETGID = 0o2000

export interface Ownership { gid: number; readonly: boolean; /** OnRootMismatch leaves the tree alone when its top is right already. */ policy: 'Always' | 'OnRootMismatch' }

export async function setOwnership(dir: string, ownership: Ownership): Promise<void> {
  if (ownership.policy === 'OnRootMismatch' && (await isRight(dir, ownership))) return
  await walk(dir, ownership)
}

async function isRight(dir: string, { gid, readonly }: Ownership): Promise<boolean> {
  const info = await lstat(dir)
  const wanted = (readonly ? 0o440 : 0o660) | 0o110 | SETGID
  return info.gid === gid && (info.mode & wanted) === wanted
}

async function walk(path: string, ownership: Ownership): Promise<void> {
  const info = await lstat(path)
  if (info.isDirectory()) for (const name of await readdir(path)) await walk(join(path, name), ownership)
  await lchown(path, info.uid, ownership.gid)
  if (info.isSymbolicLink()) return
  const mask = (ownership.readonly ? 0o440 : 0o660) | (info.isDirectory() ? 0o110 | SETGID : 0)
  await chmod(path, (info.mode & 0o7777) | mask)
}
