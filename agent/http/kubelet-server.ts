/**
 * The kubelet's HTTP API on upstream's paths (/pods, /containerLogs, /exec, /attach, /run, /portForward, /healthz):
 * an HTTP/1.1 server without a port of its own. Connections come from the tunnel (`agent/tunnel/`), which only the
 * API server speaks through; whoever else is let in must be authenticated before.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import type { Clock } from '#base/clock.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { runSession } from './channels.ts'
import { EXEC_SPDY_PROTOCOLS, spdyChannels } from './exec-spdy.ts'
import { EXEC_PROTOCOLS, webSocketChannels } from './exec-websocket.ts'
import type { IoSession } from '#cri/index.ts'
import type { ContainerName, PodStreams } from '../kubelet/streams.ts'
import { PORT_FORWARD_PROTOCOL, PORT_FORWARD_TUNNEL, servePortForward } from './port-forward.ts'
import { FORWARDED_PORTS_MAX, serveWebSocketPortForward } from './port-forward-websocket.ts'
import { badRequest, containerName, parseLogOptions, parseStreamRequest, type StreamRequest } from './stream-request.ts'
import { webSocketDuplex } from './websocket-tunnel.ts'

export interface KubeletServerOptions {
  streams: PodStreams
  clock: Clock
  log: Log
}

/** A WebSocket message is a piece of standard input or of a tunnel: clients send 32 KiB. */
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024
/** Output of `/run` beyond this is dropped. */
const RUN_BYTES_MAX = 1024 * 1024
/** Refusals of the kubelet that are the client's fault. */
const BAD_REQUESTS = ['BAD_REQUEST', 'CONTAINER_NOT_READY', 'PREVIOUS_NOT_FOUND', 'LOGS_INVALID']

export function createKubeletServer(options: KubeletServerOptions): Server {
  const { streams, clock } = options
  const log = options.log.with('kubelet-api')
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX, perMessageDeflate: false, handleProtocols: (offered) => chooseProtocol([...offered]) ?? false })
  // ws refuses protocol names with a slash, as RFC 6455 would have it; kubectl sends one all the same.
  sockets.on('headers', (headers, request) => {
    if (tunnels.has(request)) headers.push(`Sec-WebSocket-Protocol: ${PORT_FORWARD_TUNNEL}`)
  })
  const tunnels = new WeakSet<IncomingMessage>()
  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => refuse(response, error))
  })
  server.on('upgrade', (request, socket, head) => {
    upgrade(request, socket, head).catch((error: unknown) => refuseUpgrade(socket, error))
  })
  // The connection is the API server's: it ends it when its own client goes away.
  server.keepAliveTimeout = 0
  server.requestTimeout = 0
  return server

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://kubelet')
    const [, verb = '', namespace = '', pod = '', ...rest] = url.pathname.split('/').map(decodeURIComponent)
    const target = containerName(namespace, pod, rest)
    switch (verb) {
      case 'healthz':
        response.setHeader('content-type', 'text/plain; charset=utf-8')
        response.end('ok')
        return
      case 'pods':
      case 'runningpods':
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: streams.pods() }))
        return
      case 'containerLogs':
        return sendLogs(target, url, response)
      case 'run': {
        const command = url.searchParams.getAll('cmd').flatMap((c) => c.split(' '))
        if (request.method !== 'POST' || command.length === 0) throw badRequest('POST with cmd is needed')
        response.setHeader('content-type', 'text/plain; charset=utf-8')
        response.end(await run(target, command))
        return
      }
      case 'exec':
      case 'attach':
      case 'portForward':
        throw badRequest('Upgrade request required')
      default:
        response.statusCode = 404
        response.end('404 page not found\n')
    }
  }

  /** A refusal before the first byte is an answer; after it the connection breaks off. */
  async function sendLogs(target: ContainerName, url: URL, response: ServerResponse): Promise<void> {
    const stop = new AbortController()
    response.on('close', () => stop.abort())
    const options = parseLogOptions(url.searchParams)
    response.setHeader('content-type', 'text/plain')
    // Who follows a container that has not spoken yet should see the connection stand.
    await streams.containerIdFor(target, { previous: options.previous ?? false })
    if (options.follow) response.flushHeaders()
    try {
      await streams.readLogs(target, options, { write: async (chunk) => { if (!response.destroyed && !response.write(chunk)) await drained(response) } }, stop.signal)
    } catch (error) {
      if (!response.headersSent) throw error
      if (!stop.signal.aborted) log.warn('logs broke off', { ...target, error: asError(error) })
      response.destroy()
      return
    }
    response.end()
  }

  async function run(target: ContainerName, command: readonly string[]): Promise<Buffer> {
    const session = await streams.exec(target, { cmd: [...command], tty: false, stdin: false })
    const chunks: Buffer[] = []
    let size = 0
    for (const output of [session.stdout, session.stderr]) {
      output?.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size <= RUN_BYTES_MAX) chunks.push(chunk)
      })
    }
    try {
      await session.done
    } finally {
      session.close()
    }
    return Buffer.concat(chunks)
  }

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const parsed = parseStreamRequest(new URL(request.url ?? '/', 'http://kubelet'))
    if (!parsed) throw badRequest('this path has no streams')
    const wire = (request.headers.upgrade ?? '').toLowerCase()
    if (wire === 'websocket') return upgradeToWebSocket(parsed, request, socket, head)
    if (wire === 'spdy/3.1') return upgradeToSpdy(parsed, request, socket, head)
    throw badRequest(`unable to upgrade: missing or unknown upgrade ${JSON.stringify(wire)}`)
  }

  async function upgradeToWebSocket(parsed: StreamRequest, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((p) => p.trim())
    if (parsed.kind === 'portForward') {
      if (offered.includes(PORT_FORWARD_TUNNEL)) {
        delete request.headers['sec-websocket-protocol']
        tunnels.add(request)
      } else assertPorts(parsed.ports, chooseProtocol(offered) ?? '')
    }
    const client = await new Promise<WebSocket>((resolve) => sockets.handleUpgrade(request, socket, head, resolve))
    client.on('error', (error) => log.debug('client connection failed', { error }))
    if (parsed.kind === 'portForward') {
      if (tunnels.has(request)) servePortForward(webSocketDuplex(client), dialer(parsed), log)
      else serveWebSocketPortForward(client, client.protocol, parsed.ports, dialer(parsed), log)
      return
    }
    await runSession(parsed.kind, () => open(parsed), webSocketChannels(client, client.protocol || 'channel.k8s.io', parsed.flags))
  }

  async function upgradeToSpdy(parsed: StreamRequest, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const offered = (request.headersDistinct['x-stream-protocol-version'] ?? []).flatMap((h) => h.split(',')).map((p) => p.trim())
    const known: readonly string[] = parsed.kind === 'portForward' ? [PORT_FORWARD_PROTOCOL] : EXEC_SPDY_PROTOCOLS
    const protocol = offered.length === 0 ? known.at(-1) : offered.find((p) => known.includes(p))
    if (protocol === undefined) {
      socket.end(`HTTP/1.1 403 Forbidden\r\nX-Accepted-Stream-Protocol-Versions: ${known.join(', ')}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
      return
    }
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`)
    if (head.length > 0) socket.unshift(head)
    if (parsed.kind === 'portForward') return servePortForward(socket, dialer(parsed), log)
    try {
      await runSession(parsed.kind, () => open(parsed), await spdyChannels(socket, protocol, parsed.flags, clock))
    } catch (error) {
      // The answer is already 101: there is no channel left to tell the client on.
      log.debug('session failed', { error: asError(error) })
      socket.destroy()
    }
  }

  function open(parsed: Exclude<StreamRequest, { kind: 'portForward' }>): Promise<IoSession> {
    const io = { tty: parsed.flags.tty, stdin: parsed.flags.stdin }
    return parsed.kind === 'exec' ? streams.exec(parsed.target, { cmd: parsed.command, ...io }) : streams.attach(parsed.target, io)
  }

  function dialer(parsed: { namespace: string; pod: string }): (port: number) => Promise<Duplex> {
    return (port) => streams.portForward({ namespace: parsed.namespace, pod: parsed.pod }, port)
  }
}

/** The client's order counts, as upstream's negotiation. */
export function chooseProtocol(offered: readonly string[]): string | undefined {
  const known: readonly string[] = EXEC_PROTOCOLS
  return offered.find((p) => known.includes(p))
}

function assertPorts(ports: readonly number[], protocol: string): void {
  const max = FORWARDED_PORTS_MAX[protocol.includes('base64') ? 'base64' : 'binary']
  if (ports.length === 0) throw badRequest('query parameter "port" is required')
  if (ports.length > max) throw badRequest(`at most ${max} ports can be forwarded over one WebSocket`)
}

function statusCode(error: unknown): number {
  if (BAD_REQUESTS.some((code) => hasCode(error, code))) return 400
  return hasCode(error, 'POD_NOT_FOUND') || hasCode(error, 'CONTAINER_NOT_FOUND') || hasCode(error, 'CRI_NOT_FOUND') ? 404 : 500
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  response.statusCode = statusCode(error)
  response.setHeader('content-type', 'text/plain; charset=utf-8')
  response.end(asError(error).message)
}

function refuseUpgrade(socket: Duplex, error: unknown): void {
  const text = asError(error).message
  const code = statusCode(error)
  socket.end(`HTTP/1.1 ${code} ${code === 400 ? 'Bad Request' : code === 404 ? 'Not Found' : 'Internal Server Error'}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`)
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.once('drain', resolve)
    response.once('close', resolve)
  })
}
