/**
 * The Transport over the network: one HTTP/2 session per server, all requests and watches multiplexed on it (an idle
 * watch costs 26 KB so, 92 KB on a connection of its own). It keeps to the server that works and fails over to the
 * next. Credentials are asked for at each connect, so renewed certificates need no restart.
 */
import http2 from 'node:http2'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Clock } from '#base/clock.ts'
import type { ApiRequest, ApiResponse, BodySink, BodyStream, Transport } from './transport.ts'

export interface TlsTransportOptions {
  /** `https://host:port`, tried in order from the one that worked last. A function where the list changes. */
  servers: readonly string[] | (() => readonly string[])
  /** PEM of the CAs that may sign the server's certificate; read at each connect. */
  ca: string | (() => string)
  /** PEM. Asked for before each request; when it has changed, new requests go over a new connection. */
  clientCertificate?: () => { cert: string; key: string } | undefined
  /** Asked for before each request; may read a rotating token. */
  bearer?: () => string | undefined | Promise<string | undefined>
  /** The name its certificate must be for; default: the host of the URL. `kubernetes` is in every API server's, whatever its address. */
  serverName?: string
  clock: Clock
  /** TCP and TLS to one server; default 5 s. */
  connectMsMax?: number
  /** From sending a request until its answer begins; default 60 s (upstream's request timeout). */
  answerMsMax?: number
  /**
   * Nothing heard for so long while requests are open: the peer is pinged, and given up when it does not answer in half
   * that time. Default 30 s, as client-go; where there is another server to go to, 6 s.
   */
  silenceMsMax?: number
  /** With several servers: one that answers 503 or 504 (it has lost the others, say) is left for the next one, and what is open there ends. */
  movesOn?: boolean
}

export interface TlsTransport extends Transport {
  /** The server in use, for the log; undefined before the first connect. */
  current(): string | undefined
  /** Ends all connections; requests in flight fail. Twice is fine. */
  close(): void
}

interface Link {
  server: string
  session: http2.ClientHttp2Session
  identity: string
  /** False once it takes no new requests (GOAWAY, closed, replaced). */
  usable: boolean
  /** A request begins; the returned function ends it. Open requests keep the process alive and the peer under watch. */
  enter(): () => void
  /** The peer was heard. */
  hear(): void
}

const MOVE_EVERY_MS = 5_000
const MOVE_AFTER_MS = 500

/** Rejects with `API_UNREACHABLE` (details.servers; cause: the last failure), `API_TIMEOUT`, `API_CLOSED`. */
export function createTlsTransport(options: TlsTransportOptions): TlsTransport {
  const { clock } = options
  const connectMsMax = options.connectMsMax ?? 5_000
  const answerMsMax = options.answerMsMax ?? 60_000
  const silenceMsMax = () => options.silenceMsMax ?? (servers().length > 1 ? 6_000 : 30_000)
  const links = new Set<Link>()
  let current: Link | undefined
  let connecting: Promise<Link> | undefined
  let connectingIdentity = ''
  let lastServer: string | undefined
  let closed = false

  const servers = () => (typeof options.servers === 'function' ? options.servers() : options.servers)

  const connectAny = async (identity: string, tls: { cert: string; key: string } | undefined): Promise<Link> => {
    const known = servers()
    const start = Math.max(0, known.indexOf(lastServer ?? ''))
    const failures: string[] = []
    let cause: unknown
    for (let i = 0; i < known.length; i++) {
      const server = known[(start + i) % known.length] as string
      try {
        const link = await connectOne(server, identity, tls)
        lastServer = server
        return link
      } catch (error) {
        cause = error
        failures.push(`${server}: ${asError(error).message}`)
      }
    }
    const what = known.length === 0 ? 'no API server is known' : `no API server could be reached (${failures.join('; ')})`
    throw new CodedError('API_UNREACHABLE', what, { cause, details: { servers: [...known] } })
  }

  const connectOne = (server: string, identity: string, tls: { cert: string; key: string } | undefined) => new Promise<Link>((resolve, reject) => {
    const ca = typeof options.ca === 'function' ? options.ca() : options.ca
    const session = http2.connect(server, { ca, ...tls, ...(options.serverName !== undefined && { servername: options.serverName }), ALPNProtocols: ['h2'], settings: { enablePush: false } })
    const link: Link = { server, session, identity, usable: false, ...watchPeer(session, server, { clock, silenceMsMax }) }
    const timer = clock.after(connectMsMax, () => session.destroy(new CodedError('API_TIMEOUT', `no connection within ${connectMsMax} ms`)))
    const retire = () => { link.usable = false }
    session.once('connect', () => {
      timer()
      link.usable = !closed
      links.add(link)
      // Whoever waits for an answer holds the process; an idle connection does not.
      session.unref()
      if (closed) session.destroy()
      resolve(link)
    })
    session.once('goaway', retire)
    // Streams report their own failure; here it only matters that the session is not used again.
    session.on('error', (error) => { retire(); reject(error) })
    session.once('close', () => {
      timer()
      retire()
      links.delete(link)
      reject(new CodedError('API_UNREACHABLE', 'the connection was closed before it was usable'))
    })
  })

  const link = async (): Promise<Link> => {
    if (closed) throw new CodedError('API_CLOSED', 'the API transport is closed')
    const tls = options.clientCertificate?.()
    const identity = tls?.cert ?? ''
    if (current?.usable && current.identity === identity && !current.session.destroyed) return current
    if (connecting && connectingIdentity === identity) return connecting
    const old = current
    connectingIdentity = identity
    connecting = connectAny(identity, tls)
    try {
      current = await connecting
      // Open watches on the old connection go on until they end; it takes nothing new.
      if (old && old !== current) { old.usable = false; old.session.close() }
      return current
    } finally {
      connecting = undefined
    }
  }

  let movedMs = -Infinity
  /** At most every few seconds: an answer may have other reasons, and then all servers give it. */
  const moveOn = (left: Link): void => {
    const known = servers()
    if (left !== current || known.length < 2 || clock.monotonicMs() - movedMs < MOVE_EVERY_MS) return
    movedMs = clock.monotonicMs()
    lastServer = known[(known.indexOf(left.server) + 1) % known.length]
    left.usable = false
    // The answer itself is read first.
    clock.after(MOVE_AFTER_MS, () => left.session.destroy(new CodedError('API_UNREACHABLE', `${left.server} cannot serve requests`)))
  }

  return {
    async request(request) {
      const token = await options.bearer?.()
      for (let attempt = 1; ; attempt++) {
        request.signal.throwIfAborted()
        const used = await link()
        try {
          const response = await exchange(used, request, token, { clock, answerMsMax })
          if (options.movesOn && (response.status === 503 || response.status === 504)) moveOn(used)
          return response
        } catch (error) {
          // Never worked on by the server: safe to send again on a new connection, once.
          if (attempt > 1 || request.signal.aborted || !hasCode(error, 'API_NOT_SENT')) throw error
          used.usable = false
        }
      }
    },
    current: () => current?.server,
    close() {
      closed = true
      for (const { session } of links) session.destroy(new CodedError('API_CLOSED', 'the API transport is closed'))
    },
  }
}

/**
 * A half-dead connection (NAT forgot it, cable pulled) is found by a ping, sent only after silence and only while
 * requests are open: an idle process is not woken.
 */
function watchPeer(session: http2.ClientHttp2Session, server: string, { clock, silenceMsMax: silenceMsOf }: { clock: Clock; silenceMsMax: () => number }): Pick<Link, 'enter' | 'hear'> {
  let open = 0
  let heardMs = 0
  let cancel = () => {}
  const look = () => {
    const silenceMsMax = silenceMsOf()
    const quietMs = clock.monotonicMs() - heardMs
    if (quietMs < silenceMsMax) {
      cancel = clock.after(silenceMsMax - quietMs, look)
      return
    }
    const giveUp = clock.after(silenceMsMax / 2, () => session.destroy(new CodedError('API_TIMEOUT', `${server} has been silent for ${Math.round(silenceMsMax * 1.5)} ms`)))
    cancel = giveUp
    session.ping((error) => {
      giveUp()
      if (error || open === 0) return
      heardMs = clock.monotonicMs()
      cancel = clock.after(silenceMsMax, look)
    })
  }
  return {
    hear() { heardMs = clock.monotonicMs() },
    enter() {
      if (open++ === 0) {
        session.ref()
        heardMs = clock.monotonicMs()
        cancel()
        cancel = clock.after(silenceMsOf(), look)
      }
      return () => {
        if (--open > 0) return
        cancel()
        if (!session.destroyed) session.unref()
      }
    },
  }
}

function exchange(link: Link, request: ApiRequest, token: string | undefined, limits: { clock: Clock; answerMsMax: number }): Promise<ApiResponse> {
  return new Promise((resolve, reject) => {
    let stream: http2.ClientHttp2Stream
    try {
      stream = link.session.request({
        ':method': request.method, ':path': request.path, ...request.headers,
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(request.body && { 'content-length': request.body.length }),
      }, { endStream: !request.body })
    } catch (cause) {
      reject(new CodedError('API_NOT_SENT', `the connection to ${link.server} is gone`, { cause }))
      return
    }
    const leave = link.enter()
    let sink: BodySink | undefined
    let failure: Error | undefined
    let ended = false
    const fail = (error: Error) => {
      failure ??= error
      cancelTimer()
      reject(failure)
      sink?.fail(failure)
    }
    const cancelTimer = limits.clock.after(limits.answerMsMax, () => {
      fail(new CodedError('API_TIMEOUT', `${link.server} did not answer ${request.method} ${request.path.split('?')[0]} within ${limits.answerMsMax} ms`))
      stream.close(http2.constants.NGHTTP2_CANCEL)
    })
    const onAbort = () => {
      fail(asError(request.signal.reason))
      stream.close(http2.constants.NGHTTP2_CANCEL)
    }
    request.signal.addEventListener('abort', onAbort, { once: true })
    stream.on('error', (cause) => {
      const refused = stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM || hasCode(cause, 'ERR_HTTP2_GOAWAY_SESSION')
      fail(new CodedError(refused ? 'API_NOT_SENT' : 'API_INTERRUPTED', `the connection to ${link.server} broke: ${cause.message}`, { cause }))
    })
    stream.once('close', () => {
      leave()
      request.signal.removeEventListener('abort', onAbort)
      cancelTimer()
      if (!ended) fail(new CodedError('API_INTERRUPTED', `${link.server} broke off its answer (code ${stream.rstCode})`))
    })
    stream.once('response', (headers) => {
      cancelTimer()
      link.hear()
      const body: BodyStream = {
        start(given) {
          sink = given
          if (failure) { given.fail(failure); return }
          stream.on('data', (chunk: Buffer) => {
            link.hear()
            if (given.write(chunk)) return
            stream.pause()
            given.onDrain(() => stream.resume())
          })
          stream.once('end', () => {
            // A stream that breaks ends, too: 'close' comes next and says so.
            if (stream.aborted || stream.rstCode !== http2.constants.NGHTTP2_NO_ERROR) return
            ended = true
            if (!failure) given.end()
          })
        },
      }
      resolve({ status: headers[':status'] ?? 502, headers: plainHeaders(headers), body })
    })
    if (request.body) stream.end(request.body)
  })
}

function plainHeaders(headers: http2.IncomingHttpHeaders): Record<string, string> {
  const plain: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(':') || value === undefined) continue
    plain[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return plain
}
