/**
 * The one port of a server: TLS with client certificates asked for but not demanded, and by ALPN HTTP/2, HTTP/1.1 or
 * an agent's tunnel. Adapts the network to the transport-neutral handler; knows no resources.
 */
import type { Server as Http1Server } from 'node:http'
import type { ServerHttp2Session } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { SecureContext, Server as TlsServer, TLSSocket } from 'node:tls'
import type { Clock } from '#base/clock.ts'
import { CodedError, asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { ServedApi } from './http/served-api.ts'
import type { CertificatePair, ChooseCertificate } from './http/certificate-choice.ts'
import { flatHeaders, serveHttp1 } from './http/http1.ts'
import { serveHttp2 } from './http/http2.ts'
import { isJudgedAlike, peerOf } from './http/peer.ts'
import { BodyRoom } from './http/send.ts'

export interface TlsMaterial {
  /** PEM, the server's certificate with its intermediates. */
  cert: string
  key: string
  /** PEM of the CA that client certificates are checked against. */
  clientCa: string
  /** PEM of the CA of authenticating proxies, which may speak for others. */
  frontProxyCa?: string
  /** Other certificates by the name that a client asks for. Whether there are any is settled at the start. */
  choose?: ChooseCertificate
}

/** What is left out is up to OpenSSL, from version 1.2 on. */
export interface TlsChoice { minVersion?: 'TLSv1.2' | 'TLSv1.3'; /** OpenSSL's names with colons between. */ ciphers?: string; ecdhCurve?: string }

export interface HttpServerOptions {
  api: ServedApi
  tls: TlsMaterial
  tlsChoice?: TlsChoice
  clock: Clock
  random: Random
  log: Log
  /** Sockets of other protocols by their ALPN name, e.g. `skiff-tunnel/1`. The handler owns the socket from then on. */
  protocols?: Readonly<Record<string, (socket: TLSSocket) => void>>
  /** Names (SNI) under which another certificate and other authorities hold. A connection by such a name is only good for `protocol`, one of `protocols`. */
  otherNames?: { contextOf: (serverName: string) => SecureContext | undefined; protocol: string }
  limits?: Partial<HttpLimits>
}

export interface HttpLimits {
  /** Upstream's limit of a request body. */
  bodyBytesMax: number
  handshakeTimeoutMs: number
  /** All of a request's headers must be there this long after its first byte; an HTTP/2 connection must have said hello by then. */
  headersTimeoutMs: number
  headersBytesMax: number
  /** All of a request's body must be there by then. */
  bodyTimeoutMs: number
  /** Without any request. */
  idleTimeoutMs: number
  /** Bodies in memory at once, over all connections. */
  bodyRoomBytes: number
  /** --http2-max-streams-per-connection */
  streamsPerConnectionMax: number
  /** --goaway-chance: of a request over HTTP/2, that its connection is closed after it. */
  goawayChance: number
  connectionsMax: number
  /** What is still in flight after this is cut. */
  closeTimeoutMs: number
}

export const HTTP_LIMITS: HttpLimits = {
  bodyBytesMax: 3 * 1024 * 1024, handshakeTimeoutMs: 10_000, headersTimeoutMs: 32_000, headersBytesMax: 256 * 1024, bodyTimeoutMs: 60_000, idleTimeoutMs: 180_000,
  bodyRoomBytes: 96 * 1024 * 1024, streamsPerConnectionMax: 250, goawayChance: 0, connectionsMax: 10_000, closeTimeoutMs: 8_000,
}

/** Header fields of one request. */
const HEADERS_MAX = 512
/** Streams that a client may take back at once, and per second; more and it is sent away (CVE-2023-44487). */
const RESET_RATE = { streamResetBurst: 1_000, streamResetRate: 33 }
/** An idle connection that is told to go is cut after this. */
const CLOSING_MS = 5_000

export interface HttpServer {
  /** Resolves with the port bound. Rejects with `PORT_IN_USE` or `CANNOT_LISTEN`, which name the address. */
  listen(port: number, host: string): Promise<number>
  /** New certificates for connections from now on. Where other authorities of clients are believed now, connections end whose certificate is judged otherwise by them. */
  updateTls(tls: TlsMaterial): void
  /** No new connections, /readyz fails, watches end, what is in flight is finished or cut after closeTimeoutMs. Twice is fine. */
  close(): Promise<void>
}

export async function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const [{ createSecureContext, createServer: createTls }, { createServer: createHttp1 }, { performServerHandshake }] = await Promise.all([import('node:tls'), import('node:http'), import('node:http2')])
  const limits = { ...HTTP_LIMITS, ...options.limits }
  const { api, clock, random, otherNames, protocols = {} } = options
  const room = new BodyRoom(limits.bodyRoomBytes)
  const log = options.log.with('http')
  const open = new Set<TLSSocket>()
  /** Accepted, by the address of the client: TLS tells of them only when the handshake is done, or never. */
  const handshaking = new Map<string, Socket>()
  const sessions = new Set<ServerHttp2Session>()
  const contexts = new Map<CertificatePair, SecureContext>()
  const state: { tls: TlsMaterial; closing: Promise<void> | undefined; lastClosed?: () => void } = { tls: options.tls, closing: undefined }

  const http1: Http1Server = createHttp1({
    maxHeaderSize: limits.headersBytesMax, headersTimeout: Math.min(limits.headersTimeoutMs, limits.bodyTimeoutMs), requestTimeout: limits.bodyTimeoutMs, keepAliveTimeout: limits.idleTimeoutMs, connectionsCheckingInterval: Math.min(5_000, limits.headersTimeoutMs),
    shouldUpgradeCallback: (req) => api.mayUpgrade(req.url ?? '/', req.headers.upgrade),
  })
  const http1Options = { api, bodyBytesMax: limits.bodyBytesMax, room, clock, isStopping: () => state.closing !== undefined }
  http1.on('request', (req, res) => void serveHttp1(http1Options, peerOfConnection(req.socket as TLSSocket, state.tls), req, res))
  http1.on('upgrade', (req, socket, head) => {
    const gone = new AbortController()
    socket.on('close', () => gone.abort())
    void api.upgrade({ method: req.method ?? 'GET', path: req.url ?? '/', headers: flatHeaders(req), signal: gone.signal, peer: peerOfConnection(req.socket as TLSSocket, state.tls) }, socket, head)
  })
  // It never listens itself; this is what starts its checks of slow headers and bodies.
  http1.emit('listening')

  const sendsAway = (): boolean => limits.goawayChance > 0 && random.next() < limits.goawayChance

  const serve2 = (socket: TLSSocket): void => {
    const session = performServerHandshake(socket, {
      settings: { maxConcurrentStreams: limits.streamsPerConnectionMax, initialWindowSize: 256 * 1024, maxHeaderListSize: limits.headersBytesMax },
      maxHeaderListPairs: HEADERS_MAX, maxSessionInvalidFrames: 100, ...RESET_RATE,
    })
    sessions.add(session)
    const use = { streams: 0, sinceMs: clock.monotonicMs() }
    session.on('stream', (stream) => {
      use.streams++
      stream.on('close', () => {
        use.streams--
        use.sinceMs = clock.monotonicMs()
      })
    })
    // Pings and half a header are no use: only requests count.
    const closeIdle = (): void => {
      const idleMs = clock.monotonicMs() - use.sinceMs
      if (use.streams === 0 && idleMs >= limits.idleTimeoutMs) closeOrDestroy()
      else cancelIdle = clock.after(use.streams > 0 ? limits.idleTimeoutMs : limits.idleTimeoutMs - idleMs, closeIdle)
    }
    const closeOrDestroy = (): void => {
      session.close()
      cancelIdle = clock.after(CLOSING_MS, () => session.destroy())
    }
    let cancelIdle = clock.after(limits.idleTimeoutMs, closeIdle)
    const cancelHello = clock.after(limits.headersTimeoutMs, () => session.destroy())
    session.once('remoteSettings', cancelHello)
    session.on('error', (error) => log.debug('an HTTP/2 connection failed', { error }))
    session.on('close', () => {
      cancelHello()
      cancelIdle()
      sessions.delete(session)
    })
    // Half-open is for upgraded HTTP/1.1; here an end is the end.
    socket.on('end', () => session.destroy())
    serveHttp2({ api, clock, bodyBytesMax: limits.bodyBytesMax, bodyTimeoutMs: limits.bodyTimeoutMs, room, sendsAway }, session, peerOfConnection(socket, state.tls))
    if (state.closing) session.close()
  }

  const contextOf = (name: string): SecureContext | undefined => {
    const other = otherNames?.contextOf(name)
    const pair = other ? undefined : state.tls.choose?.(name)
    if (!pair) return other
    const known = contexts.get(pair) ?? createSecureContext(secureOptions({ ...state.tls, ...pair }, options.tlsChoice))
    contexts.set(pair, known)
    return known
  }

  const server: TlsServer = createTls({
    ...secureOptions(options.tls, options.tlsChoice), requestCert: true, rejectUnauthorized: false, ALPNProtocols: ['h2', 'http/1.1', ...Object.keys(protocols)],
    ...((otherNames ?? options.tls.choose) && { SNICallback: (name: string, done: (error: Error | null, context?: SecureContext) => void) => done(null, contextOf(name)) }),
    handshakeTimeout: limits.handshakeTimeoutMs, allowHalfOpen: true, noDelay: true,
  })
  server.maxConnections = limits.connectionsMax
  server.on('tlsClientError', (error, socket: TLSSocket) => {
    log.debug('a TLS handshake failed', { error })
    socket.destroy()
  })
  server.on('connection', (socket: Socket) => {
    const client = addressOf(socket)
    handshaking.set(client, socket)
    socket.on('close', () => { if (handshaking.get(client) === socket) handshaking.delete(client) })
    if (state.closing) socket.destroy()
  })
  server.on('secureConnection', (socket) => {
    handshaking.delete(addressOf(socket))
    // What is not the API's is not waited for: it ends with its owner.
    if (socket.alpnProtocol !== otherNames?.protocol) open.add(socket)
    socket.on('close', () => {
      if (open.delete(socket) && open.size === 0) state.lastClosed?.()
    })
    socket.on('error', (error) => log.debug('a connection failed', { error }))
    const protocol = socket.alpnProtocol || 'http/1.1'
    const peer = peerOfConnection(socket, state.tls)
    const other = Object.hasOwn(protocols, protocol) ? protocols[protocol] : undefined
    // A front proxy speaks for users of the API, never for nodes.
    if (otherNames && protocol !== otherNames.protocol && socket.servername && otherNames.contextOf(socket.servername)) socket.destroy()
    else if (other && 'frontProxy' in peer && !('certificate' in peer)) socket.destroy()
    else if (other) other(socket)
    else if (protocol === 'h2') serve2(socket)
    else http1.emit('connection', socket)
  })

  const shutDown = async (): Promise<void> => {
    api.stopping()
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve())
      state.lastClosed = resolve
      if (open.size === 0) resolve()
    })
    // Nothing of theirs is in flight; and one that its client has half closed holds nothing that would keep the process waiting for it.
    for (const socket of handshaking.values()) socket.destroy()
    http1.closeIdleConnections()
    for (const session of sessions) session.close()
    api.close()
    // Keeps the process alive: a connection that both ends gave up, and only TLS still counts, would not.
    const waited = new AbortController()
    const deadline = clock.sleep(limits.closeTimeoutMs, waited.signal).then(() => 'late' as const, () => 'in time' as const)
    const isLate = (await Promise.race([closed, deadline])) === 'late'
    waited.abort()
    if (isLate) {
      log.warn('connections still open at shutdown are cut', { connections: open.size })
      for (const session of sessions) session.destroy()
      for (const socket of open) socket.destroy()
      await closed
    }
    http1.close()
  }

  return {
    listen: (port, host) => listen(server, port, host, log),
    updateTls(tls) {
      const before = state.tls
      state.tls = tls
      contexts.clear()
      server.setSecureContext(secureOptions(tls, options.tlsChoice))
      if (before.clientCa === tls.clientCa && before.frontProxyCa === tls.frontProxyCa) return
      // They come again, and are judged anew.
      for (const socket of open) if (!isJudgedAlike(socket, tls)) socket.destroy()
    },
    close: () => (state.closing ??= shutDown()),
  }
}

/** Sessions are resumed under any of the certificates; OpenSSL takes none up that has no such name. */
const SESSIONS = 'skiff'

const secureOptions = ({ cert, key, clientCa, frontProxyCa }: TlsMaterial, choice: TlsChoice = {}) => ({ minVersion: 'TLSv1.2' as const, ...choice, sessionIdContext: SESSIONS, cert, key, ca: frontProxyCa === undefined ? [clientCa] : [clientCa, frontProxyCa] })

const addressOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`

const peers = new WeakMap<Socket, ReturnType<typeof peerOf>>()

/** Read off the certificate once per connection. */
function peerOfConnection(socket: TLSSocket, tls: TlsMaterial): ReturnType<typeof peerOf> {
  let peer = peers.get(socket)
  if (!peer) peers.set(socket, (peer = peerOf(socket, tls)))
  return peer
}

function listen(server: TlsServer, port: number, host: string, log: Log): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'EADDRINUSE'
        ? new CodedError('PORT_IN_USE', `${host}:${port} is in use by another process: stop it, or choose another port with --https-listen-port`, { cause: error })
        : new CodedError('CANNOT_LISTEN', `cannot listen on ${host}:${port}: ${error.message}`, { cause: error }))
    })
    server.listen(port, host, () => {
      server.removeAllListeners('error')
      server.on('error', (error) => log.error('the listening socket failed', { error: asError(error) }))
      resolve((server.address() as AddressInfo).port)
    })
  })
}
