/**
 * A container's own streams by conmon's attach socket: packets, output ones led by a byte that names the stream.
 * Window size and log reopening go by conmon's control fifo, one line each.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { Readable, Writable } from 'node:stream'
import type { Clock } from '#base/clock.ts'
import { CodedError, asError, hasCode } from '#base/errors.ts'
import type { IoSession } from '../runtime.ts'
import { connectSeqpacket } from './native.ts'

const STDERR = 3
/** conmon reads packets into 32 KiB; what does not fit is lost. */
const PACKET_BYTES_MAX = 8192
/** How long conmon may take to read the input of a session that is over; it would lose the rest if it were cut off while it writes. */
const DETACH_MS = 1_000
const RESIZE = 1
const REOPEN_LOGS = 2

export interface AttachOptions {
  containerId: string
  stdin: boolean
  tty: boolean
  /** The end of the input is the end of the container's own; otherwise it is the end of the session, as containerd has it. */
  stdinOnce: boolean
  clock: Clock
  onError: (error: Error) => void
}

export function openAttach(paths: { attach: string; control: string }, options: AttachOptions): IoSession {
  let socket
  try {
    socket = connectSeqpacket(paths.attach)
  } catch (error) {
    throw new CodedError('CRI_FAILED', `failed to attach to container "${options.containerId}": ${asError(error).message}`, { cause: error })
  }
  let blocked = 0
  let isOver = false
  const stream = () => new Readable({
    highWaterMark: 64 * 1024,
    read() {
      blocked = 0
      socket.resume()
    },
  })
  const stdout = stream()
  const stderr = options.tty ? undefined : stream()
  socket.on('data', (packet: Buffer) => {
    if (isOver) return
    const target = packet[0] === STDERR && stderr ? stderr : stdout
    // Packets are small: a stream nobody reads must not stop the other one until it holds its share.
    if (!target.push(packet.subarray(1)) && ++blocked > 8) socket.pause()
  })
  const { promise: done, resolve } = Promise.withResolvers<number>()
  const end = () => {
    if (isOver) return
    isOver = true
    stdout.push(null)
    stderr?.push(null)
    resolve(0)
  }
  socket.on('close', end)
  // conmon ends the connection with the container, in whatever way: 'close' follows and tells.
  socket.on('error', () => {})
  const stdin = new Writable({
    write(chunk: Buffer, _, callback) {
      const next = (at: number, error?: Error | null) => {
        if (error) return callback(error)
        if (at >= chunk.length) return callback()
        // One at a time: queued together they would be merged into one packet.
        socket.write(chunk.subarray(at, at + PACKET_BYTES_MAX), (failed) => next(at + PACKET_BYTES_MAX, failed))
      }
      next(0)
    },
    final(callback) {
      socket.end()
      if (!options.stdinOnce || options.tty) {
        end()
        socket.resume()
        options.clock.after(DETACH_MS, () => socket.destroy())
      }
      callback()
    },
  })
  stdin.on('error', () => {})
  return {
    stdin: options.stdin ? stdin : undefined, stdout, stderr, done,
    resize({ width, height }) {
      if (width > 0 && height > 0) writeControl(paths.control, `${RESIZE} ${height} ${width}\n`).catch((error: unknown) => options.onError(asError(error)))
    },
    close() { if (!isOver) socket.destroy() },
  }
}

/** conmon closes the log file and opens one of the same name. */
export async function reopenLog(control: string): Promise<void> {
  await writeControl(control, `${REOPEN_LOGS} 0 0\n`)
}

async function writeControl(path: string, line: string): Promise<void> {
  let fifo
  try {
    // Not blocking: without conmon nobody reads it.
    fifo = await open(path, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (hasCode(error, 'ENXIO') || hasCode(error, 'ENOENT')) throw new CodedError('CRI_FAILED', 'the container\'s monitor (conmon) is gone', { cause: error })
    throw error
  }
  try {
    await fifo.write(line)
  } finally {
    await fifo.close()
  }
}
