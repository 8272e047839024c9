/**
 * sd_notify(3): one datagram to the socket that systemd named. Node has no datagram Unix sockets, so the C library sends
 * it; systemd's own tool does where that is not to be had.
 */
import { execFileSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { cLibrary } from '#base/c-library.ts'
import { asError, CodedError } from '#base/errors.ts'

const AF_UNIX = 1
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000
const MSG_DONTWAIT = 0x40
/** systemd's socket is never under load; more than this and it would have been better not to wait at all. */
const TOOL_MS_MAX = 5_000
/** sockaddr_un: two bytes of family, at most 108 of path. */
const PATH_BYTES_MAX = 108

const libc = cLibrary({
  socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
  sendto: { arguments: ['int32', 'buffer', 'uint64', 'int32', 'buffer', 'uint32'], return: 'int64' },
})

/** `state`: `READY=1`, say. `socket`: $NOTIFY_SOCKET, a path or, with a leading `@`, an abstract name. Throws what both ways said. */
export function notifySystemd(socket: string, state: string): void {
  try {
    sendDatagram(socket, state)
  } catch (error) {
    try {
      execFileSync('systemd-notify', [`--pid=${process.pid}`, state], { env: { ...process.env, NOTIFY_SOCKET: socket }, stdio: 'ignore', timeout: TOOL_MS_MAX })
    } catch (second) {
      throw new CodedError('NOTIFY_FAILED', `${asError(error).message}; systemd-notify: ${asError(second).message}`, { cause: error })
    }
  }
}

function sendDatagram(socket: string, state: string): void {
  const path = Buffer.from(socket.startsWith('@') ? `\0${socket.slice(1)}` : socket)
  if (!/^[/@]/.test(socket) || path.length >= PATH_BYTES_MAX) throw new CodedError('NOTIFY_FAILED', `NOTIFY_SOCKET ${JSON.stringify(socket)} is not the address of a Unix socket`)
  const { functions, check } = libc()
  const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), path])
  const message = Buffer.from(state)
  const fd = check(functions.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), `socket ${socket}`)
  try {
    check(Number(functions.sendto(fd, message, BigInt(message.length), MSG_DONTWAIT, address, address.length)), `sendto ${socket}`)
  } finally {
    closeSync(fd)
  }
}
