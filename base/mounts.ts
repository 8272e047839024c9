/**
 * mount(2) and umount2(2) by node:ffi into the C library that is already loaded: a program for each would cost a fork of this whole process.
 * Only for file systems that answer at once (tmpfs, overlay, binds of what is here): the calls block.
 */
import { open } from 'node:fs/promises'
import { getSystemErrorName } from 'node:util'
import { CodedError } from './errors.ts'

/** linux/mount.h; the same on all architectures. */
export const MOUNT_FLAGS = { readOnly: 1, noSuid: 2, noDev: 4, noExec: 8, bind: 4096 } as const
const MNT_DETACH = 2
/** fcntl.h: a descriptor that only names the place. Node has no name for it. */
const O_PATH = 0o10000000

function bind() {
  const ffi = process.getBuiltinModule('node:ffi')
  if (!ffi) throw new CodedError('ENOSYS', 'this build of node lacks node:ffi: use the node version that package.json pins')
  const { functions } = ffi.dlopen(null, {
    __errno_location: { arguments: [], return: 'pointer' },
    mount: { arguments: ['string', 'string', 'string', 'uint64', 'string'], return: 'int32' },
    umount2: { arguments: ['string', 'int32'], return: 'int32' },
  })
  return { ffi, functions }
}

/** Bound once per process: the C library stays loaded as long as the process lives. */
const loaded: { library?: ReturnType<typeof bind> } = {}

export interface MountRequest { type: string; source: string; target: string; /** Of MOUNT_FLAGS, added up. */ flags?: number; /** The file system's own options, as in `mount -o`. */ options?: string }

/** Throws with the errno's name as `code`: ENODEV, the kernel does not know the file system; EINVAL, nor one of its options. */
export function mountFileSystem({ type, source, target, flags = 0, options = '' }: MountRequest): void {
  loaded.library ??= bind()
  if (loaded.library.functions.mount(source, target, type, BigInt(flags), options) !== 0) throw failure(`mount ${type || 'bind'} on ${target}`)
}

/**
 * Takes away what is mounted on top at `path`; what is still used of it goes with its last user (as `umount --lazy`). Succeeds when nothing is
 * mounted there. A file system that goes with it (what was written may be flushed, memory freed) ends on a thread of the pool, not on this one.
 */
export async function detachMount(path: string): Promise<void> {
  loaded.library ??= bind()
  // Whoever closes the last reference does the work: that is this handle.
  const last = await open(path, O_PATH)
  try {
    if (loaded.library.functions.umount2(path, MNT_DETACH) === 0) return
    const error = failure(`umount ${path}`)
    if (error.code !== 'EINVAL') throw error
  } finally {
    await last.close()
  }
}

function failure(what: string): CodedError {
  const { ffi, functions } = loaded.library ?? bind()
  const code = getSystemErrorName(-ffi.getInt32(functions.__errno_location()))
  return new CodedError(code, `${what}: ${code}`)
}
