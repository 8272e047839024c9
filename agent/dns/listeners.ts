/** The resolver's sockets: UDP and TCP on port 53 of each address. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer, type Server, type Socket } from 'node:net'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { uint16 } from './forwarder.ts'

/** Undefined: no answer is due. */
export type Answerer = (request: Buffer, by: 'udp' | 'tcp') => Promise<Buffer | undefined>

/** Queries being worked on; more are dropped (UDP) or wait (TCP). */
const PENDING_MAX = 1024
const CONNECTIONS_MAX = 128
const IDLE_MS = 10_000

export interface ListenDeps { clock: Clock; log: Log }

export interface Listeners { close(): Promise<void> }

/** Resolves when all sockets are bound; rejects with LISTEN_FAILED and nothing left open. */
export async function listen(addresses: readonly string[], port: number, answer: Answerer, deps: ListenDeps): Promise<Listeners> {
  const closers: (() => Promise<void>)[] = []
  const close = async () => { await Promise.all(closers.map((c) => c())) }
  try {
    for (const address of addresses) {
      closers.push(await listenUdp(address, port, answer, deps.log))
      closers.push(await listenTcp(address, port, answer, deps))
    }
  } catch (error) {
    await close()
    const inUse = hasCode(error, 'EADDRINUSE') ? ': another program answers port 53 on all addresses; bind it to its own (dnsmasq: bind-dynamic, systemd-resolved: DNSStubListenerExtra)' : ''
    throw new CodedError('LISTEN_FAILED', `the cluster resolver cannot listen on ${addresses.join(', ')} port ${port}: ${asError(error).message}${inUse}`, { cause: error })
  }
  return { close }
}

async function listenUdp(address: string, port: number, answer: Answerer, log: Log): Promise<() => Promise<void>> {
  const socket: UdpSocket = createSocket('udp4')
  const state = { pending: 0, isOpen: true }
  const bound = Promise.withResolvers<void>()
  socket.once('error', bound.reject)
  socket.bind(port, address, bound.resolve)
  await bound.promise
  socket.on('error', (error) => log.warn('DNS socket failed', { address, error }))
  socket.on('message', (request, from) => {
    if (state.pending >= PENDING_MAX) return
    state.pending++
    answer(request, 'udp').then(
      (response) => { if (response && state.isOpen) socket.send(response, from.port, from.address) },
      (error: unknown) => log.error('a DNS query could not be answered', { error: asError(error) }),
    ).finally(() => { state.pending-- })
  })
  return () => new Promise((resolve) => {
    state.isOpen = false
    socket.close(() => resolve())
  })
}

async function listenTcp(address: string, port: number, answer: Answerer, { clock, log }: ListenDeps): Promise<() => Promise<void>> {
  const connections = new Set<Socket>()
  const server: Server = createServer((socket) => {
    connections.add(socket)
    const arm = () => clock.after(IDLE_MS, () => socket.destroy())
    const idle = { cancel: arm() }
    socket.on('data', () => {
      idle.cancel()
      idle.cancel = arm()
    })
    socket.on('close', () => {
      idle.cancel()
      connections.delete(socket)
    })
    socket.on('error', () => socket.destroy())
    readMessages(socket, async (request) => {
      const response = await answer(request, 'tcp')
      if (!response || socket.destroyed) return
      socket.write(Buffer.concat([uint16(response.length), response]))
    }, log)
  })
  server.maxConnections = CONNECTIONS_MAX
  const bound = Promise.withResolvers<void>()
  server.once('error', bound.reject)
  server.listen(port, address, bound.resolve)
  await bound.promise
  server.on('error', (error) => log.warn('DNS socket failed', { address, error }))
  return () => new Promise((resolve) => {
    server.close(() => resolve())
    for (const socket of connections) socket.destroy()
  })
}

/** Length-prefixed messages (RFC 1035 4.2.2), one after the other: while one is answered the socket is not read. */
function readMessages(socket: Socket, each: (message: Buffer) => Promise<void>, log: Log): void {
  const state = { received: Buffer.alloc(0) as Buffer, isBusy: false }
  const next = () => {
    const { received } = state
    if (state.isBusy || socket.destroyed || received.length < 2) return
    const length = received.readUInt16BE(0)
    if (received.length < 2 + length) return
    state.received = received.subarray(2 + length)
    state.isBusy = true
    socket.pause()
    each(received.subarray(2, 2 + length)).catch((error: unknown) => {
      log.error('a DNS query could not be answered', { error: asError(error) })
      socket.destroy()
    }).finally(() => {
      state.isBusy = false
      socket.resume()
      next()
    })
  }
  socket.on('data', (chunk: Buffer) => {
    state.received = Buffer.concat([state.received, chunk])
    next()
  })
}
