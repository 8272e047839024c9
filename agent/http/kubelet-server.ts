/**
 * The kubelet's HTTP API on upstream's paths: /pods, /runningpods, /stats/summary, /metrics (and resource, cadvisor, probes), /configz,
 * /healthz (and each check), /metrics/slis, /statusz, /flagz, /logs, /containerLogs, /exec, /attach, /run, /portForward. The same handlers serve connections of the tunnel
 * (`agent/tunnel/`), which only the API server speaks through, and those of the port (`secure-kubelet-server.ts`), which prove who they are.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Pod } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { createUpgrades, type StreamTarget } from '#cri/index.ts'
import type { ContainerName, NodeFigures, PodStreams } from '../kubelet/streams.ts'
import { metricsText, type MetricFamily } from '../kubelet/stats/metrics-text.ts'
import { createHealth } from './health.ts'
import { sendZpage, type KubeletAbout } from './kubelet-zpages.ts'
import { createRequestFigures } from './request-figures.ts'
import { refusedRoute, segmentsOf } from './kubelet-routes.ts'
import { sendSystemLog } from './system-logs.ts'
import { badRequest, containerName, parseLogOptions, parseStreamRequest, type StreamRequest } from './stream-request.ts'

export interface KubeletServerOptions {
  streams: PodStreams
  figures: NodeFigures
  /** What `/statusz` and `/flagz` tell. */
  about: KubeletAbout
  /** Counted by others of this program, on `/metrics`, too. */
  counted?: () => MetricFamily[]
  /** Default /var/log: what `/logs/` shows. */
  systemLogDir?: string
  clock: Clock
  log: Log
}

/** Output of `/run` beyond this is dropped. */
const RUN_BYTES_MAX = 1024 * 1024
/** As the API server's: the command of an exec is part of the URL. */
export const HEADERS_BYTES_MAX = 256 * 1024
const STATUS: Readonly<Record<string, number>> = { BAD_REQUEST: 400, CONTAINER_NOT_READY: 400, PREVIOUS_NOT_FOUND: 400, LOGS_INVALID: 400, LOG_OPTIONS_INVALID: 422, POD_NOT_FOUND: 404, CONTAINER_NOT_FOUND: 404 }
const TEXT = 'text/plain; charset=utf-8'

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
  const health = createHealth(() => figures.health())
  const requests = createRequestFigures(clock)
  return {
    request: (request, response) => { serve(request, response).catch((error: unknown) => refuse(response, error)) },
    upgrade: (request, socket, head) => { upgrade(request, socket, head).catch((error: unknown) => refuseUpgrade(socket, statusCode(error), asError(error).message)) },
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://kubelet')
    const segments = segmentsOf(url.pathname)
    response.on('close', requests.begin(request.method ?? '', segments))
    const none = refusedRoute(request.method ?? '', segments)
    if (none) {
      if (none.allow !== undefined) response.setHeader('allow', none.allow)
      return sendText(response, none.status, none.text)
    }
    const [verb, first, pod = '', ...rest] = segments
    const target = containerName(first ?? '', pod, rest)
    switch (verb) {
      case 'healthz': {
        const page = health.page(first, url.searchParams)
        response.setHeader('x-content-type-options', 'nosniff')
        return sendText(response, page?.status ?? 404, page?.text ?? '404 page not found\n')
      }
      case 'pods':
        return sendJson(response, podList(streams.pods()))
      case 'runningpods':
        return sendJson(response, podList(await streams.runningPods()))
      case 'statusz':
      case 'flagz':
        return sendZpage(verb, options.about, clock, request, response)
      case 'configz':
        return sendJson(response, figures.configz())
      case 'stats':
        return sendJson(response, await figures.summary(['1', 'true'].includes(url.searchParams.get('only_cpu_and_memory') ?? '')))
      case 'metrics': {
        if (first === 'slis' && request.method === 'DELETE') {
          health.reset()
          return sendText(response, 200, 'metrics reset\n')
        }
        const page = (['resource', 'cadvisor', 'probes'] as const).find((name) => name === first) ?? 'kubelet'
        response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8')
        response.end(first === 'slis' ? health.metrics() : (await figures.metrics(page)) + (page === 'kubelet' ? requests.metrics() + metricsText(options.counted?.() ?? []) : ''))
        return
      }
      case 'logs':
        return sendSystemLog(options.systemLogDir ?? '/var/log', url.pathname, response)
      case 'containerLogs':
        return sendLogs(target, url, response)
      case 'run': {
        const command = url.searchParams.getAll('cmd').flatMap((c) => c.split(' '))
        if (command.length === 0) throw badRequest('a command is needed: cmd')
        const output = await run(target, command)
        // Whatever it is, upstream says so.
        response.setHeader('content-type', 'application/json')
        response.end(output)
        return
      }
      case 'exec':
      case 'attach':
      case 'portForward':
        throw badRequest('Upgrade request required')
      default:
        throw new Error(`bug: nothing serves /${verb ?? ''}`)
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

  /** Standard output, then standard error. Rejects in upstream's words when the command fails. */
  async function run(target: ContainerName, command: readonly string[]): Promise<Buffer> {
    const session = await streams.exec(await streams.runningContainer(target, 'exec'), { cmd: [...command], tty: false, stdin: false })
    let size = 0
    const outputs = [session.stdout, session.stderr].map((output) => {
      const chunks: Buffer[] = []
      output?.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size <= RUN_BYTES_MAX) chunks.push(chunk)
      })
      return chunks
    })
    try {
      const code = await session.done
      if (code !== 0) throw new Error(`command '${command.join(' ')}' exited with ${code}: ${Buffer.concat(outputs[1] ?? []).toString()}`)
    } finally {
      session.close()
    }
    return Buffer.concat(outputs.flat())
  }

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://kubelet')
    const segments = segmentsOf(url.pathname)
    socket.on('close', requests.begin(request.method ?? '', segments))
    const none = refusedRoute(request.method ?? '', segments)
    if (none) return refuseUpgrade(socket, none.status, none.text)
    const parsed = parseStreamRequest(url)
    if (!parsed) throw badRequest('this path has no streams')
    // Before the client is told that it has its streams: what is not there is an answer of its own.
    await serveUpgrade(parsed.kind === 'portForward' ? await forwardTo(parsed) : await streamOf(parsed), request, socket, head)
  }

  async function forwardTo({ namespace, pod, uid, ports }: Extract<StreamRequest, { kind: 'portForward' }>): Promise<StreamTarget> {
    const sandbox = await streams.runningSandbox({ namespace, pod, ...(uid !== undefined && { uid }) })
    return { kind: 'portForward', ports, dial: (port) => streams.portForward(sandbox, port) }
  }

  async function streamOf(parsed: Exclude<StreamRequest, { kind: 'portForward' }>): Promise<StreamTarget> {
    const { kind, flags } = parsed
    const io = { tty: flags.tty, stdin: flags.stdin }
    const container = await streams.runningContainer(parsed.target, kind)
    return { kind, flags, open: () => (kind === 'exec' ? streams.exec(container, { cmd: parsed.command, ...io }) : streams.attach(container, io)) }
  }
}

function statusCode(error: unknown): number {
  return error instanceof CodedError ? STATUS[error.code] ?? 500 : 500
}

/** As upstream encodes a list: its items do not say what they are. */
function podList(pods: readonly Pod[]): object {
  return { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: pods.map((pod) => ({ ...pod, kind: undefined, apiVersion: undefined })) }
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status
  response.setHeader('content-type', TEXT)
  response.end(text)
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
  sendText(response, statusCode(error), asError(error).message)
}

const PHRASES: Readonly<Record<number, string>> = { 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 500: 'Internal Server Error' }

export function refuseUpgrade(socket: Duplex, code: number, text: string): void {
  socket.end(`HTTP/1.1 ${code} ${PHRASES[code] ?? ''}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`)
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.once('drain', resolve)
    response.once('close', resolve)
  })
}
