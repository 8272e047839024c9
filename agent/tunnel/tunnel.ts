/**
 * The agent's outbound connection to a server (design section 8): TLS with the node's certificate and ALPN
 * `skiff-tunnel/1`, then HTTP/2 with the roles reversed: the server opens CONNECT streams down this connection, each a
 * byte stream to the kubelet's HTTP server. No inbound port is needed, so it works behind NAT.
 *
 *   dial --> TLS (mutual) --> h2 session --> CONNECT stream --> kubelet HTTP/1.1
 */
import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { connect, type TLSSocket } from 'node:tls'
import type { Duplex } from 'node:stream'
import type { Connectivity } from '#api/client/connectivity.ts'
import { unlessAborted } from '#base/abort.ts'
import { backoffMs, type BackoffPolicy } from '#base/backoff.ts'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { API_SERVER_NAME } from '#api/join/probe.ts'

export const TUNNEL_ALPN = 'skiff-tunnel/1'

export interface TunnelOptions {
  /** `https://host:port` of one server. */
  server: string
  /** PEM; asked for at each dial, so that renewed certificates are used. */
  credentials: () => { ca: string; cert: string; key: string }
  /**
   * One call per CONNECT stream, with what the server wants to reach: `kubelet`, or `address:port` of a pod here.
   * False: refused.
   */
  accept: (stream: Duplex, authority: string) => boolean
  /** Asked with what identifies the server that answered: another address of one that has a tunnel already waits until that has ended. */
  claim: (fingerprint: string) => { ok: true; release: () => void } | { ok: false; ended: Promise<void> }
  clock: Clock
  connectivity: Connectivity
  random: Random
  log: Log
}

/** Server gone for a moment: back within seconds. Gone for days: a dial every half minute is cheap. */
const { NGHTTP2_REFUSED_STREAM } = constants
const REDIAL: BackoffPolicy = { baseMs: 500, maxMs: 30_000, jitter: 0.5 }
const DIAL_TIMEOUT_MS = 10_000
/** Keeps NAT mappings open and finds dead peers; under the shortest common NAT timeout of a minute. */
const PING_EVERY_MS = 30_000
const PING_TIMEOUT_MS = 15_000

/** Stays connected until the signal aborts. */
export async function keepTunnel(options: TunnelOptions, signal: AbortSignal): Promise<void> {
  const { connectivity, random } = options
  const log = options.log.with('tunnel')
  let failures = 0
  while (!signal.aborted) {
    try {
      const socket = await dial(options, signal)
      if (failures > 1) connectivity.back()
      failures = 0
      const claimed = options.claim(socket.getPeerCertificate().fingerprint256)
      if (!claimed.ok) {
        socket.destroy()
        await unlessAborted(signal, claimed.ended)
        continue
      }
      log.info('connected', { server: options.server })
      const because = await serve(socket, options, signal).finally(() => claimed.release())
      if (!signal.aborted) log.info('connection ended', { server: options.server, because })
    } catch (error) {
      if (signal.aborted) return
      failures++
      log[failures === 1 ? 'warn' : 'debug']('cannot connect, will try again', { server: options.server, failures, error: asError(error) })
    }
    await connectivity.sleep(backoffMs(REDIAL, Math.max(1, failures), random), signal).catch(() => { /* aborted: the loop ends */ })
  }
}

function dial(options: TunnelOptions, signal: AbortSignal): Promise<TLSSocket> {
  const url = new URL(options.server)
  const { ca, cert, key } = options.credentials()
  return new Promise((resolve, reject) => {
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const socket = connect({ host, port: Number(url.port || 443), servername: API_SERVER_NAME, ca, cert, key, ALPNProtocols: [TUNNEL_ALPN], rejectUnauthorized: true })
    const settle = (error?: Error) => {
      cancel()
      signal.removeEventListener('abort', onAbort)
      socket.off('error', settle)
      if (!error) return resolve(socket)
      socket.destroy()
      reject(error)
    }
    const onAbort = () => settle(new CodedError('ABORTED', 'stopping'))
    const cancel = options.clock.after(DIAL_TIMEOUT_MS, () => settle(new CodedError('TUNNEL_TIMEOUT', `${options.server} did not answer within ${DIAL_TIMEOUT_MS / 1000} s`)))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('error', settle)
    socket.once('secureConnect', () => {
      settle(socket.alpnProtocol === TUNNEL_ALPN ? undefined : new CodedError('TUNNEL_REFUSED', `${options.server} does not speak ${TUNNEL_ALPN}: is it a skiff server?`))
    })
  })
}

/** Resolves with why the connection ended. */
function serve(socket: TLSSocket, options: TunnelOptions, signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    const session: ServerHttp2Session = performServerHandshake(socket)
    let cancelPing = () => {}
    const end = (because: string) => {
      cancelPing()
      signal.removeEventListener('abort', onAbort)
      if (!session.destroyed) session.destroy()
      socket.destroy()
      resolve(because)
    }
    const onAbort = () => end('stopping')
    const ping = () => {
      const cancelDeadline = options.clock.after(PING_TIMEOUT_MS, () => end('no answer to a ping'))
      cancelPing = cancelDeadline
      const sent = session.ping((error) => {
        cancelDeadline()
        if (!error && !session.destroyed) cancelPing = options.clock.after(PING_EVERY_MS, ping)
      })
      if (!sent) end('a ping could not be sent')
    }
    signal.addEventListener('abort', onAbort, { once: true })
    session.on('stream', (stream: ServerHttp2Stream, headers) => {
      stream.on('error', (error) => options.log.debug('stream failed', { error }))
      if (headers[':method'] !== 'CONNECT') {
        stream.respond({ ':status': 405 }, { endStream: true })
        return
      }
      stream.respond({ ':status': 200 })
      if (!options.accept(stream, headers[':authority'] ?? '')) stream.close(NGHTTP2_REFUSED_STREAM)
    })
    session.on('error', (error) => end(error.message))
    session.on('close', () => end('closed by the server'))
    socket.on('error', (error) => end(error.message))
    cancelPing = options.clock.after(PING_EVERY_MS, ping)
  })
}
