/**
 * Paths as a process chrooted into `root` would see them: symlinks resolve inside it and `..` stops at it. Only for
 * trees nobody else changes meanwhile (a layer being unpacked, a container not yet started).
 */
import { lstatSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { CodedError } from '#base/errors.ts'

/** What the kernel allows, too. */
const SYMLINKS_MAX = 40

/** Where `path` is on the host. What does not exist is appended as it stands: the caller sees ENOENT on use. */
export function resolveInRoot(root: string, path: string): string {
  const pending = path.split('/').reverse()
  const done: string[] = []
  let links = 0
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    if (part === '' || part === '.') continue
    if (part === '..') {
      done.pop()
      continue
    }
    const here = join(root, ...done, part)
    if (!isSymlink(here)) {
      done.push(part)
      continue
    }
    if (++links > SYMLINKS_MAX) throw new CodedError('ELOOP', `too many symbolic links in ${path}`)
    const target = readlinkSync(here)
    if (target.startsWith('/')) done.length = 0
    pending.push(...target.split('/').reverse())
  }
  return join(root, ...done)
}

function isSymlink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false
}
