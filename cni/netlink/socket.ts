/** A netlink socket. The kernel answers while it is asked: neither call waits. */
import { closeSync } from 'node:fs'
import { cLibrary } from '#base/c-library.ts'

export interface NetlinkSocket {
  send(bytes: Buffer): void
  /** What the kernel has said since; empty: nothing. Good until the next call. */
  receive(): Buffer
  close(): void
}

const AF_NETLINK = 16
const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const MSG_DONTWAIT = 0x40
const EAGAIN = 11
/** The kernel sizes the parts of a dump to it; one device's answer is far below. */
const RECEIVE_BYTES = 32 * 1024

const libc = cLibrary({
  socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
  send: { arguments: ['int32', 'buffer', 'uint64', 'int32'], return: 'int64' },
  recv: { arguments: ['int32', 'buffer', 'uint64', 'int32'], return: 'int64' },
})

/** `failed` makes the error of what did not work out of an errno. Throws what it makes, and `ENOSYS`. */
export function openNetlink(protocol: number, failed: (doing: 'reach' | 'ask' | 'read', errno: number) => Error): NetlinkSocket {
  const { functions, errno } = libc()
  const fd = functions.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)
  if (fd < 0) throw failed('reach', errno())
  const buffer = Buffer.alloc(RECEIVE_BYTES)
  return {
    send(bytes) {
      if (functions.send(fd, bytes, BigInt(bytes.length), MSG_DONTWAIT) < 0n) throw failed('ask', errno())
    },
    receive() {
      const length = functions.recv(fd, buffer, BigInt(buffer.length), MSG_DONTWAIT)
      const code = length < 0n ? errno() : 0
      if (code !== 0 && code !== EAGAIN) throw failed('read', code)
      return buffer.subarray(0, Math.max(0, Number(length)))
    },
    close: () => closeSync(fd),
  }
}
