/**
 * mount(2) and umount2(2) by the C library: a program for each would cost a fork of this whole process.
 * Only for file systems that answer at once (tmpfs, overlay, binds of what is here): the calls block.
 */
import { open } from 'node:fs/promises'
import { cLibrary } from './c-library.ts'
import { CodedError } from './errors.ts'

/** linux/mount.h; the same on all architectures. */
export const MOUNT_FLAGS = { readOnly: 1, noSuid: 2, noDev: 4, noExec: 8, bind: 4096 } as const
const MNT_DETACH = 2
/** fcntl.h: a descriptor that only names the place. Node has no name for it. */
const O_PATH = 0o10000000

const libc = cLibrary({
  mount: { arguments: ['string', 'string', 'string', 'uint64', 'string'], return: 'int32' },
  umount2: { arguments: ['string', 'int32'], return: 'int32' },
})

export interface MountRequest { type: string; source: string; target: string; /** Of MOUNT_FLAGS, added up. */ flags?: number; /** The file system's own options, as in `mount -o`. */ options?: string }

/** Throws with the errno's name as `code`: ENODEV, the kernel does not know the file system; EINVAL, nor one of its options. */
export function mountFileSystem({ type, source, target, flags = 0, options = '' }: MountRequest): void {
  const { functions, check } = libc()
  check(functions.mount(source, target, type, BigInt(flags), options), `mount ${type || 'bind'} on ${target}`)
}

/**
 * Takes away what is mounted on top at `path`; what is still used of it goes with its last user (as `umount --lazy`). Succeeds when nothing is
 * mounted there. A file system that goes with it (what was written may be flushed, memory freed) ends on a thread of the pool, not on this one.
 */
export async function detachMount(path: string): Promise<void> {
  const { functions, check } = libc()
  // Whoever closes the last reference does the work: that is this handle.
  const last = await open(path, O_PATH)
  try {
    check(functions.umount2(path, MNT_DETACH), `umount ${path}`)
  } catch (error) {
    if (!(error instanceof CodedError && error.code === 'EINVAL')) throw error
  } finally {
    await last.close()
  }
}
