/**
 * The kubelet's HTTP API on upstream's paths (/pods, /containerLogs, /exec, /attach, /run, /portForward, /healthz):
 * an HTTP/1.1 server without a port of its own. Connections come from the tunnel (`agent/tunnel/`), which only the
 * API server speaks through; whoever else is let in must be authenticated before.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '#base/clock.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { createUpgrades, type IoSession, type StreamTarget } from '#cri/index.ts'
import type { ContainerName, PodStreams } from '../kubelet/streams.ts'
import { badRequest, containerName, parseLogOptions, parseStreamRequest, type StreamRequest } from './stream-request.ts'

export interface KubeletServerOptions {
  streams: PodStreams
  clock: Clock
  log: Log
}

/** Output of `/run` beyond this is dropped. */
const RUN_BYTES_MAX = 1024 * 1024
/** As the API server's: the command of an exec is part of the URL. */
const HEADERS_BYTES_MAX = 256 * 1024
/** Refusals of the kubelet that are the client's fault. */
const BAD_REQUESTS = ['BAD_REQUEST', 'CONTAINER_NOT_READY', 'PREVIOUS_NOT_FOUND', 'LOGS_INVALID']

export function createKubeletServer(options: KubeletServerOptions): Server {
  const { streams, clock } = options
  const log = options.log.with('kubelet-api')
  const serveUpgrade = createUpgrades({ clock, log })
  const server = createServer({ maxHeaderSize: HEADERS_BYTES_MAX }, (request, response) => {
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
    const target: StreamTarget = parsed.kind === 'portForward'
      ? { kind: 'portForward', ports: parsed.ports, dial: (port) => streams.portForward({ namespace: parsed.namespace, pod: parsed.pod }, port) }
      : { kind: parsed.kind, flags: parsed.flags, open: () => open(parsed) }
    await serveUpgrade(target, request, socket, head)
  }

  function open(parsed: Exclude<StreamRequest, { kind: 'portForward' }>): Promise<IoSession> {
    const io = { tty: parsed.flags.tty, stdin: parsed.flags.stdin }
    return parsed.kind === 'exec' ? streams.exec(parsed.target, { cmd: parsed.command, ...io }) : streams.attach(parsed.target, io)
  }
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
