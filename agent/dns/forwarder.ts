/**
 * Asks the host's name servers. UDP from a fresh random port for each query, answers matched by address, id and question;
 * TCP where the client came by TCP. Messages are passed on byte for byte, only the id is ours.
 */
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import type { Clock } from '#base/clock.ts'
import { CodedError } from '#base/errors.ts'
import type { Random } from '#base/random.ts'
import { readName, type Query } from './wire.ts'

export interface Forwarder {
  /** Rejects with UPSTREAM_BUSY, UPSTREAM_TIMEOUT or NO_UPSTREAM. */
  ask(request: Buffer, query: Pick<Query, 'name' | 'type'>, by: 'udp' | 'tcp'): Promise<Buffer>
  close(): void
}

/** Each costs a socket; more than this many open is a flood, or a dead upstream. */
const IN_FLIGHT_MAX = 256
/** glibc waits 5 s by default: two servers get their turn before the client gives up. */
const ATTEMPT_MS = 2_000
const ATTEMPTS = 2

export interface ForwarderOptions {
  /** In the order to try. */
  servers: () => Promise<readonly string[]>
  random: Random
  clock: Clock
  /** 53, but for tests. */
  port?: number
}

export function createForwarder(options: ForwarderOptions): Forwarder {
  const { random, clock, port = 53 } = options
  const open = new Set<() => void>()
  const state = { inFlight: 0, preferred: '' }

  const attempt = async (server: string, request: Buffer, query: Pick<Query, 'name' | 'type'>, by: 'udp' | 'tcp'): Promise<Buffer> => {
    const id = random.bytes(2)
    const message = Buffer.concat([id, request.subarray(2)])
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    const accept = (answer: Buffer) => {
      if (isAnswerTo(answer, id.readUInt16BE(0), query)) resolve(answer)
    }
    const close = by === 'udp' ? openUdp(server, port, message, accept, reject) : openTcp(server, port, message, accept, reject)
    const cancel = clock.after(ATTEMPT_MS, () => reject(new CodedError('UPSTREAM_TIMEOUT', `name server ${server} did not answer within ${ATTEMPT_MS} ms`)))
    const abort = () => reject(new CodedError('UPSTREAM_TIMEOUT', 'the resolver is closing'))
    open.add(abort)
    try {
      const answer = await promise
      request.copy(answer, 0, 0, 2)
      return answer
    } finally {
      cancel()
      close()
      open.delete(abort)
    }
  }

  return {
    async ask(request, query, by) {
      const servers = await options.servers()
      if (servers.length === 0) throw new CodedError('NO_UPSTREAM', 'resolv.conf names no server to forward to')
      if (state.inFlight >= IN_FLIGHT_MAX) throw new CodedError('UPSTREAM_BUSY', `${IN_FLIGHT_MAX} queries are waiting for the name servers`)
      // The one that answered last goes first: a dead first entry does not cost every look-up its time-out.
      const order = servers.includes(state.preferred) ? [state.preferred, ...servers.filter((s) => s !== state.preferred)] : servers
      state.inFlight++
      try {
        let failure: unknown
        for (let i = 0; i < ATTEMPTS; i++) {
          const server = order[i % order.length] ?? ''
          try {
            const answer = await attempt(server, request, query, by)
            state.preferred = server
            return answer
          } catch (error) {
            failure = error
          }
        }
        throw failure
      } finally {
        state.inFlight--
      }
    },
    close() {
      for (const abort of open) abort()
    },
  }
}

type Fail = (error: Error) => void

function openUdp(server: string, port: number, message: Buffer, accept: (answer: Buffer) => void, fail: Fail): () => void {
  const socket = createSocket(server.includes(':') ? 'udp6' : 'udp4')
  const state = { isClosed: false }
  socket.on('error', fail)
  // Connected: the kernel drops what comes from anyone else. The port is the kernel's random choice.
  socket.on('connect', () => { if (!state.isClosed) socket.send(message) })
  socket.on('message', (answer) => accept(Buffer.from(answer)))
  socket.connect(port, server)
  return () => {
    state.isClosed = true
    socket.close()
  }
}

function openTcp(server: string, port: number, message: Buffer, accept: (answer: Buffer) => void, fail: Fail): () => void {
  const socket = connect({ host: server, port })
  let received: Buffer = Buffer.alloc(0)
  socket.on('error', fail)
  socket.on('close', () => fail(new CodedError('UPSTREAM_TIMEOUT', `name server ${server} closed the connection`)))
  socket.on('connect', () => { socket.write(Buffer.concat([uint16(message.length), message])) })
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    if (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) accept(Buffer.from(received.subarray(2, 2 + received.readUInt16BE(0))))
  })
  return () => socket.destroy()
}

export function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

/** A forged or stray answer is as if it had not come: the real one may still arrive. */
function isAnswerTo(answer: Buffer, id: number, query: Pick<Query, 'name' | 'type'>): boolean {
  if (answer.length < 12 || answer.readUInt16BE(0) !== id || (answer.readUInt16BE(2) & 0x8000) === 0) return false
  // FORMERR may come without the question.
  if (answer.readUInt16BE(4) === 0) return (answer.readUInt16BE(2) & 15) !== 0
  const question = readName(answer, 12)
  return question !== undefined && question.end + 4 <= answer.length && answer.readUInt16BE(question.end) === query.type
    && question.name.join('\0').toLowerCase() === query.name.join('\0').toLowerCase()
}
