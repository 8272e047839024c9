/**
 * One connection to another server, from the hello on: frames in order, a bound on what waits to be sent, and an end
 * for a connection whose other side is silent. Whom it leads to was proven before.
 */
import type { Duplex } from 'node:stream'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import type { MemberId } from '../../raft/types.ts'
import { decodeFrame, encodeFrame, PROTOCOL_VERSION, type Frame } from './codec.ts'
import { createFrameReader } from './frame-reader.ts'

/** More is not kept for a slow or dead peer; one message alone may be larger. */
export const QUEUE_BYTES_MAX = 16 * 1024 * 1024
const HELLO_TIMEOUT_MS = 5_000
/** Something was sent and nothing is heard for so long: a ping; as long again: the connection is dead. TCP itself would take minutes. */
const SILENCE_MS = 1_500

export interface LinkOptions {
  socket: Duplex
  /** Of this process. */
  incarnation: number
  self: MemberId
  peer: MemberId
  clock: Clock
  queueBytesMax?: number
  /** The other side said hello. */
  onOpen: (link: Link) => void
  onFrame: (frame: Extract<Frame, { kind: 'volatile' | 'message' }>, link: Link) => void
  /** Once. */
  onEnd: (because: Error, link: Link) => void
}

export interface Link {
  readonly peer: MemberId
  /** Of the other process; 0 before its hello. */
  readonly incarnation: number
  /** False: there is no room, nothing of it was or will be sent. */
  send(frame: Frame): boolean
  end(because: Error): void
  /** When anything was last heard. */
  readonly heardAtMs: number
}

export function openLink(options: LinkOptions): Link {
  const { socket, self, peer, clock, queueBytesMax = QUEUE_BYTES_MAX } = options
  const state: { incarnation: number; ended: boolean; leaves: 'at once' | 'later' | undefined; heardAtMs: number } = { incarnation: 0, ended: false, leaves: undefined, heardAtMs: clock.monotonicMs() }
  let cancelLook: (() => void) | undefined
  let hasPinged = false

  const write = (frame: Frame): boolean => {
    const { pieces, length } = encodeFrame(frame)
    if (socket.writableLength > 0 && socket.writableLength + length > queueBytesMax) return false
    leave(frame.kind !== 'volatile')
    for (const piece of pieces) socket.write(piece)
    return true
  }
  /**
   * All that one turn has to say goes out together: each write less is a record of TLS, a call of the system and a waking of
   * the other server less. What clients ask for comes in many turns, one after the other: those requests wait for the last.
   */
  const leave = (atOnce: boolean): void => {
    if (state.leaves === undefined) socket.cork()
    if (atOnce ? state.leaves === 'at once' : state.leaves !== undefined) return
    state.leaves = atOnce ? 'at once' : 'later'
    if (atOnce) queueMicrotask(uncork)
    else setImmediate(uncork)
  }
  const uncork = (): void => {
    if (state.leaves === undefined) return
    state.leaves = undefined
    socket.uncork()
  }
  const lookLater = () => {
    const sinceMs = clock.monotonicMs()
    cancelLook = clock.after(SILENCE_MS, () => {
      cancelLook = undefined
      if (state.heardAtMs >= sinceMs) {
        hasPinged = false
        return
      }
      if (hasPinged) return end(new CodedError('PEER_SILENT', `nothing was heard for ${2 * SILENCE_MS} ms`))
      hasPinged = true
      write({ kind: 'ping' })
      lookLater()
    })
  }
  const end = (because: Error): void => {
    if (state.ended) return
    state.ended = true
    cancelHello()
    cancelLook?.()
    socket.destroy()
    options.onEnd(because, link)
  }

  const takeHello = (frame: Frame): void => {
    if (frame.kind !== 'hello') throw new CodedError('PEER_MALFORMED', 'it did not say hello first')
    if (frame.version !== PROTOCOL_VERSION) throw new CodedError('PEER_VERSION', `it speaks version ${frame.version} of the servers' protocol, this one ${PROTOCOL_VERSION}: run the same release of skiff on all servers`)
    if (frame.from !== peer || frame.to !== self || frame.incarnation === 0) throw new CodedError('PEER_MALFORMED', `it says that it is member ${frame.from} calling member ${frame.to}`)
    cancelHello()
    state.incarnation = frame.incarnation
    options.onOpen(link)
  }
  const reader = createFrameReader((kind, body) => {
    if (state.ended) return
    const frame = decodeFrame(kind, body, { from: peer, to: self })
    if (state.incarnation === 0) return takeHello(frame)
    switch (frame.kind) {
      case 'hello': throw new CodedError('PEER_MALFORMED', 'it said hello twice')
      case 'ping':
        write({ kind: 'pong' })
        return
      case 'pong': return
      default: options.onFrame(frame, link)
    }
  })

  const link: Link = {
    peer,
    get incarnation() { return state.incarnation },
    get heardAtMs() { return state.heardAtMs },
    send(frame) {
      if (state.ended || !write(frame)) return false
      if (!cancelLook) lookLater()
      return true
    },
    end,
  }
  const cancelHello = clock.after(HELLO_TIMEOUT_MS, () => end(new CodedError('PEER_SILENT', `no hello within ${HELLO_TIMEOUT_MS} ms`)))
  socket.on('data', (data: Buffer) => {
    state.heardAtMs = clock.monotonicMs()
    try {
      reader.push(data)
    } catch (error) {
      end(asError(error))
    }
  })
  socket.on('error', (error) => end(error))
  socket.on('end', () => end(new CodedError('PEER_CLOSED', 'the other side closed the connection')))
  socket.on('close', () => end(new CodedError('PEER_CLOSED', 'the connection was closed')))
  write({ kind: 'hello', version: PROTOCOL_VERSION, from: self, to: peer, incarnation: options.incarnation })
  return link
}
