/** Who a container runs as, from its own /etc/passwd and /etc/group. Those files are the image's: bounded, and never read through a link out of it. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { CodedError, hasCode } from '#base/errors.ts'
import type { SecurityContext } from '../runtime.ts'
import { resolveInRoot } from './path-in-root.ts'

export interface ContainerUser { uid: number; gid: number; additionalGids: number[]; home: string | undefined }

const FILE_BYTES_MAX = 1 << 20
const ID_MAX = 2 ** 32 - 2

/** `imageUser`: the image's `User`, `name|uid[:group|gid]`. */
export function lookUpUser(root: string, security: Pick<SecurityContext, 'runAsUser' | 'runAsUsername' | 'runAsGroup' | 'supplementalGroups' | 'supplementalGroupsPolicy'>, imageUser: string): ContainerUser {
  const passwd = parsePasswd(readInRoot(root, '/etc/passwd'))
  const groups = parseGroup(readInRoot(root, '/etc/group'))
  const [imageName = '', imageGroup] = imageUser.split(':')
  const wanted = security.runAsUser !== undefined ? String(security.runAsUser) : security.runAsUsername || imageName || '0'
  const numeric = /^\d+$/.test(wanted)
  const entry = passwd.find((user) => (numeric ? user.uid === Number(wanted) : user.name === wanted))
  if (!numeric && !entry) throw new CodedError('CRI_INVALID', `unable to find user ${wanted}: no matching entries in passwd file`)
  const uid = numeric ? Number(wanted) : entry?.uid ?? 0
  const ownUser = security.runAsUser === undefined && !security.runAsUsername
  let gid = entry?.gid ?? 0
  if (ownUser && imageGroup) gid = groupId(imageGroup, groups)
  if (security.runAsGroup !== undefined) gid = security.runAsGroup
  for (const id of [uid, gid]) if (id > ID_MAX) throw new CodedError('CRI_INVALID', `user or group id ${id} is out of range`)
  const memberOf = entry && security.supplementalGroupsPolicy !== 'Strict' ? groups.filter((group) => group.members.includes(entry.name)).map((group) => group.gid) : []
  // containerd lists the primary group among the additional ones, too.
  return { uid, gid, additionalGids: [...new Set([gid, ...memberOf, ...security.supplementalGroups])], home: entry?.home }
}

function groupId(group: string, groups: { name: string; gid: number }[]): number {
  if (/^\d+$/.test(group)) return Number(group)
  const found = groups.find((g) => g.name === group)
  if (!found) throw new CodedError('CRI_INVALID', `unable to find group ${group}: no matching entries in group file`)
  return found.gid
}

function parsePasswd(text: string): { name: string; uid: number; gid: number; home: string }[] {
  return text.split('\n').map((line) => line.split(':')).filter((f) => f.length >= 4 && /^\d+$/.test(f[2] ?? '') && /^\d+$/.test(f[3] ?? ''))
    .map((f) => ({ name: f[0] ?? '', uid: Number(f[2]), gid: Number(f[3]), home: f[5] ?? '' }))
}

function parseGroup(text: string): { name: string; gid: number; members: string[] }[] {
  return text.split('\n').map((line) => line.split(':')).filter((f) => f.length >= 3 && /^\d+$/.test(f[2] ?? ''))
    .map((f) => ({ name: f[0] ?? '', gid: Number(f[2]), members: (f[3] ?? '').split(',').map((m) => m.trim()).filter(Boolean) }))
}

/** Empty when the image has no such file. */
function readInRoot(root: string, path: string): string {
  let fd: number
  try {
    // Not blocking: the image may have put a fifo there.
    fd = openSync(resolveInRoot(root, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR') || hasCode(error, 'ELOOP')) return ''
    throw error
  }
  try {
    if (!fstatSync(fd).isFile()) return ''
    const bytes = Buffer.alloc(FILE_BYTES_MAX)
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, FILE_BYTES_MAX, 0))
  } finally {
    closeSync(fd)
  }
}
