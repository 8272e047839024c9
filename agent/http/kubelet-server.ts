/**
 * The kubelet's HTTP API on upstream's paths: /pods, /runningpods, /stats/summary, /metrics (and resource, cadvisor, probes), /configz,
 * /healthz, /logs, /containerLogs, /exec, /attach, /run, /portForward. The same handlers serve connections of the tunnel
 * (`agent/tunnel/`), which only the API server speaks through, and those of the port (`secure-kubelet-server.ts`), which prove who they are.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '#base/clock.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { createUpgrades, type IoSession, type StreamTarget } from '#cri/index.ts'
import type { ContainerName, NodeFigures, PodStreams } from '../kubelet/streams.ts'
import { sendSystemLog } from './system-logs.ts'
import { badRequest, containerName, parseLogOptions, parseStreamRequest, type StreamRequest } from './stream-request.ts'

export interface KubeletServerOptions {
  streams: PodStreams
  figures: NodeFigures
  /** Default /var/log: what `/logs/` shows. */
  systemLogDir?: string
  clock: Clock
  log: Log
}

/** Output of `/run` beyond this is dropped. */
const RUN_BYTES_MAX = 1024 * 1024
/** As the API server's: the command of an exec is part of the URL. */
export const HEADERS_BYTES_MAX = 256 * 1024
/** Refusals of the kubelet that are the client's fault. */
const BAD_REQUESTS = ['BAD_REQUEST', 'CONTAINER_NOT_READY', 'PREVIOUS_NOT_FOUND', 'LOGS_INVALID']

/** What both the tunnel's server and that of the port do with requests that may be served. */
export interface KubeletHandlers {
  request: (request: IncomingMessage, response: ServerResponse) => void
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
}

/** For connections of the tunnel. */
export function createKubeletServer(handlers: KubeletHandlers): Server {
  const server = createServer({ maxHeaderSize: HEADERS_BYTES_MAX }, handlers.request)
  server.on('upgrade', handlers.upgrade)
  // The connection is the API server's: it ends it when its own client goes away.
  server.keepAliveTimeout = 0
  server.requestTimeout = 0
  return server
}

export function createKubeletHandlers(options: KubeletServerOptions): KubeletHandlers {
  const { streams, figures, clock } = options
  const log = options.log.with('kubelet-api')
  const serveUpgrade = createUpgrades({ clock, log })
  return {
    request: (request, response) => { serve(request, response).catch((error: unknown) => refuse(response, error)) },
    upgrade: (request, socket, head) => { upgrade(request, socket, head).catch((error: unknown) => refuseUpgrade(socket, statusCode(error), asError(error).message)) },
  }

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
        return sendJson(response, { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: streams.pods() })
      case 'runningpods':
        return sendJson(response, { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: await streams.runningPods() })
      case 'configz':
        return sendJson(response, figures.configz())
      case 'stats': {
        if (namespace !== 'summary' && namespace !== '') break
        return sendJson(response, await figures.summary(['1', 'true'].includes(url.searchParams.get('only_cpu_and_memory') ?? '')))
      }
      case 'metrics': {
        const page = namespace === '' ? 'kubelet' : (['resource', 'cadvisor', 'probes'] as const).find((name) => name === namespace)
        if (page === undefined) break
        response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8')
        response.end(await figures.metrics(page))
        return
      }
      case 'logs':
        return sendSystemLog(options.systemLogDir ?? '/var/log', url.pathname, response)
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
    }
    response.statusCode = 404
    response.setHeader('content-type', 'text/plain; charset=utf-8')
    response.end('404 page not found\n')
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

function sendJson(response: ServerResponse, value: object): void {
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(value))
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

const PHRASES: Readonly<Record<number, string>> = { 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 500: 'Internal Server Error' }

export function refuseUpgrade(socket: Duplex, code: number, text: string): void {
  socket.end(`HTTP/1.1 ${code} ${PHRASES[code] ?? ''}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`)
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.once('drain', resolve)
    response.once('close', resolve)
  })
}
