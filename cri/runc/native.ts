/**
 * The system calls that a runtime needs and Node does not offer. Each takes well under a millisecond and returns at once.
 * `checkNative` runs one harmless call before anything is trusted.
 */
import { closeSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { basename, dirname } from 'node:path'
import { cLibrary } from '#base/c-library.ts'
import { streamOverDescriptor } from '#base/descriptor-stream.ts'
import { hasCode } from '#base/errors.ts'
import { mountFileSystem, MOUNT_FLAGS } from '#base/mounts.ts'
import { inNetworkNamespace } from '#base/network-namespace.ts'

const AF_UNIX = 1
const AF_INET = 2
const SOCK_STREAM = 1
const SOCK_SEQPACKET = 5
const SOCK_CLOEXEC = 0o2000000
const SOCK_DGRAM = 2
const CLONE_NEWNET = 0x40000000
/** To the names they have below /proc/self/ns. */
const CLONE_FLAGS = { net: CLONE_NEWNET, ipc: 0x08000000, uts: 0x04000000 } as const
const SIOCGIFFLAGS = 0x8913n
const SIOCSIFFLAGS = 0x8914n
const IFF_UP = 1
/** struct ifreq: 16 bytes of name, then a union. */
const IFREQ_BYTES = 40
const IFREQ_FLAGS_AT = 16
/** sockaddr_un: two bytes of family, 108 of path with its closing NUL. */
const SUN_PATH_BYTES_MAX = 107

const libc = cLibrary({
  mknod: { arguments: ['string', 'uint32', 'uint64'], return: 'int32' },
  lsetxattr: { arguments: ['string', 'string', 'buffer', 'uint64', 'int32'], return: 'int32' },
  lgetxattr: { arguments: ['string', 'string', 'buffer', 'uint64'], return: 'int64' },
  llistxattr: { arguments: ['string', 'buffer', 'uint64'], return: 'int64' },
  lseek: { arguments: ['int32', 'int64', 'int32'], return: 'int64' },
  syncfs: { arguments: ['int32'], return: 'int32' },
  socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
  connect: { arguments: ['int32', 'buffer', 'uint32'], return: 'int32' },
  setns: { arguments: ['int32', 'int32'], return: 'int32' },
  unshare: { arguments: ['int32'], return: 'int32' },
  ioctl: { arguments: ['int32', 'uint64', 'buffer'], return: 'int32' },
})

/** One symbol in three shapes: glibc has wrappers for these only since 2.36. */
const openTree = cLibrary({ syscall: { arguments: ['int64', 'int64', 'string', 'int64'], return: 'int64' } })
const mountSetattr = cLibrary({ syscall: { arguments: ['int64', 'int64', 'string', 'int64', 'buffer', 'int64'], return: 'int64' } })
const moveMount = cLibrary({ syscall: { arguments: ['int64', 'int64', 'string', 'int64', 'string', 'int64'], return: 'int64' } })

/** The same on x86-64 and arm64, as all calls added since 5.1. */
const SYS = { openTree: 428n, moveMount: 429n, mountSetattr: 442n } as const
const AT_FDCWD = -100n
const AT_EMPTY_PATH = 0x1000n
const AT_RECURSIVE = 0x8000n
const OPEN_TREE_CLONE = 1n
const MOVE_MOUNT_F_EMPTY_PATH = 4n
const MOUNT_ATTR_IDMAP = 0x0010_0000n

/** Mounts `source`, with all below it, on `target`; owners are shown as the user namespace's ids of the same number. Linux 5.12, 6.3 for tmpfs. */
export function cloneIdMapped(source: string, target: string, usernsPath: string): void {
  const [open, set, move] = [openTree(), mountSetattr(), moveMount()]
  const userns = openSync(usernsPath, 'r')
  let tree = -1
  try {
    tree = open.check(Number(open.functions.syscall(SYS.openTree, AT_FDCWD, source, OPEN_TREE_CLONE | BigInt(SOCK_CLOEXEC) | AT_RECURSIVE)), `open_tree ${source}`)
    // struct mount_attr: attr_set, attr_clr, propagation, userns_fd.
    const attributes = Buffer.alloc(32)
    attributes.writeBigUInt64LE(MOUNT_ATTR_IDMAP, 0)
    attributes.writeBigUInt64LE(BigInt(userns), 24)
    set.check(Number(set.functions.syscall(SYS.mountSetattr, BigInt(tree), '', AT_EMPTY_PATH | AT_RECURSIVE, attributes, BigInt(attributes.length))), `mount_setattr ${source}`)
    move.check(Number(move.functions.syscall(SYS.moveMount, BigInt(tree), '', AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH)), `move_mount ${target}`)
  } finally {
    if (tree >= 0) closeSync(tree)
    closeSync(userns)
  }
}

const check = (result: number, call: string, path: string): number => libc().check(result, `${call} ${path}`)

/** Throws with the mend when system calls cannot be made from here. */
export function checkNative(): void {
  const fd = libc().functions.socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)
  closeSync(check(fd, 'socket', 'AF_UNIX'))
}

/** mknod(2). `mode` carries the file type; `major` and `minor` only matter for devices. */
export function makeNode(path: string, mode: number, major: number, minor: number): void {
  const device = (BigInt(minor) & 0xffn) | ((BigInt(major) & 0xfffn) << 8n) | ((BigInt(minor) & ~0xffn) << 12n) | ((BigInt(major) & ~0xfffn) << 32n)
  check(libc().functions.mknod(path, mode, device), 'mknod', path)
}

/** lsetxattr(2): symlinks are not followed. */
export function setXattr(path: string, name: string, value: Buffer): void {
  check(libc().functions.lsetxattr(path, name, value, BigInt(value.length), 0), `setxattr ${name}`, path)
}

/** Linux' limits of one value and of all names of a file. */
const XATTR_BYTES_MAX = 65_536
const SEEK_DATA = 3
const SEEK_HOLE = 4

/** lgetxattr(2); undefined where there is none of this name, or the file system has none at all. */
export function getXattr(path: string, name: string): Buffer | undefined {
  const value = Buffer.alloc(XATTR_BYTES_MAX)
  const length = unless(['ENODATA', 'EOPNOTSUPP', 'ENOTSUP'], Number(libc().functions.lgetxattr(path, name, value, BigInt(value.length))), `getxattr ${name} ${path}`)
  return length === undefined ? undefined : Buffer.from(value.subarray(0, length))
}

/** llistxattr(2). */
export function listXattrs(path: string): string[] {
  const names = Buffer.alloc(XATTR_BYTES_MAX)
  const length = unless(['EOPNOTSUPP', 'ENOTSUP'], Number(libc().functions.llistxattr(path, names, BigInt(names.length))), `listxattr ${path}`)
  return names.toString('utf8', 0, length ?? 0).split('\0').filter((name) => name !== '')
}

/** Where an open file of this size has data between its holes, as far as its file system tells. */
export function dataPieces(fd: number, sizeBytes: number): { at: number; bytes: number }[] {
  const { functions, check } = libc()
  const pieces: { at: number; bytes: number }[] = []
  for (let end = 0; end < sizeBytes;) {
    // ENXIO: nothing but a hole from here on.
    const at = unless(['ENXIO'], Number(functions.lseek(fd, BigInt(end), SEEK_DATA)), 'lseek SEEK_DATA')
    if (at === undefined) break
    end = check(Number(functions.lseek(fd, BigInt(at), SEEK_HOLE)), 'lseek SEEK_HOLE')
    pieces.push({ at, bytes: end - at })
  }
  return pieces
}

/** Undefined for a call that failed with one of these. */
function unless(names: readonly string[], result: number, doing: string): number | undefined {
  try {
    return libc().check(result, doing)
  } catch (error) {
    if (names.some((name) => hasCode(error, name))) return undefined
    throw error
  }
}

/** Writes out everything dirty on the file system that holds `path`; blocks until it is on the medium. */
export function syncFileSystem(path: string): void {
  const fd = openSync(path, 'r')
  try {
    check(libc().functions.syncfs(fd), 'syncfs', path)
  } finally {
    closeSync(fd)
  }
}

/**
 * A stream over a unix SOCK_SEQPACKET socket (conmon's attach). Each 'data' chunk is one packet as long as the
 * stream flows. Node cannot open this type itself, but its pipe handle works on any descriptor that reads and writes.
 */
export function connectSeqpacket(path: string): Socket {
  const { functions } = libc()
  // By way of the directory's descriptor: a socket's address ends at 107 bytes, paths do not.
  const directory = openSync(dirname(path), 'r')
  let fd = -1
  try {
    const address = Buffer.alloc(2 + SUN_PATH_BYTES_MAX + 1)
    address.writeUInt16LE(AF_UNIX, 0)
    address.write(`/proc/self/fd/${directory}/${basename(path)}`, 2)
    fd = check(functions.socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), 'socket', path)
    check(functions.connect(fd, address, address.length), 'connect', path)
    return streamOverDescriptor(fd)
  } catch (error) {
    if (fd >= 0) closeSync(fd)
    throw error
  } finally {
    closeSync(directory)
  }
}

/** An unconnected IPv4 TCP socket that lives in another network namespace. */
export function tcpSocketIn(netnsPath: string): Socket {
  const fd = inNetworkNamespace(netnsPath, () => check(libc().functions.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), 'socket', netnsPath))
  return new Socket({ fd, readable: true, writable: true })
}

/**
 * New namespaces, each pinned by a bind mount on its file, which exists. `setUp` runs inside all of them; then this thread comes back, with no
 * other code in between: other threads never leave home. What was pinned stays when `setUp` throws.
 */
export function pinNewNamespaces(pins: Readonly<Record<keyof typeof CLONE_FLAGS, string | undefined>>, setUp: () => void): void {
  const { functions } = libc()
  const wanted = (['net', 'ipc', 'uts'] as const).flatMap((name) => (pins[name] === undefined ? [] : [{ name, file: pins[name], flag: CLONE_FLAGS[name] }]))
  if (wanted.length === 0) return setUp()
  const homes: number[] = []
  try {
    for (const { name } of wanted) homes.push(openSync(`/proc/thread-self/ns/${name}`, 'r'))
    check(functions.unshare(wanted.reduce((flags, { flag }) => flags | flag, 0)), 'unshare', wanted.map(({ name }) => name).join(', '))
    try {
      for (const { name, file } of wanted) mountFileSystem({ type: '', source: `/proc/thread-self/ns/${name}`, target: file, flags: MOUNT_FLAGS.bind })
      setUp()
    } finally {
      // Better no agent than one that stays in a pod.
      for (const home of homes) if (functions.setns(home, 0) !== 0) process.abort()
    }
  } finally {
    for (const home of homes) closeSync(home)
  }
}

/** In the network namespace this thread is in. */
export function bringLoopbackUp(): void {
  const { functions } = libc()
  const fd = check(functions.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket', 'AF_INET')
  try {
    const request = Buffer.alloc(IFREQ_BYTES)
    request.write('lo', 0, 'latin1')
    check(functions.ioctl(fd, SIOCGIFFLAGS, request), 'ioctl SIOCGIFFLAGS', 'lo')
    request.writeInt16LE(request.readInt16LE(IFREQ_FLAGS_AT) | IFF_UP, IFREQ_FLAGS_AT)
    check(functions.ioctl(fd, SIOCSIFFLAGS, request), 'ioctl SIOCSIFFLAGS', 'lo')
  } finally {
    closeSync(fd)
  }
}
