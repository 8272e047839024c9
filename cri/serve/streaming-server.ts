/**
 * What the URLs of Exec, Attach and PortForward lead to: an HTTP server on loopback, each URL good for one use within a
 * minute (cri-streaming, `request_cache.go`). Started with the first of them.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { parsePort } from '../streaming/port-forward.ts'
import { createUpgrades, type StreamTarget } from '../streaming/upgrade.ts'

/** As upstream's: how long a URL is good, and how many may wait. */
const TOKEN_MS_MAX = 60_000
const TOKENS_MAX = 1_000
const TOKEN_BYTES = 16

export class StreamingServer {
  readonly #deps: { clock: Clock; random: Random; log: Log }
  readonly #waiting = new Map<string, { target: StreamTarget; cancel: () => void }>()
  #server: Promise<Server> | undefined

  constructor(deps: { clock: Clock; random: Random; log: Log }) {
    this.#deps = deps
  }

  /** The URL under which the target is to be had. */
  async offer(target: StreamTarget): Promise<string> {
    const { clock, random } = this.#deps
    if (this.#waiting.size >= TOKENS_MAX) throw new CodedError('CRI_FAILED', `${TOKENS_MAX} streaming requests wait for their client already`)
    this.#server ??= this.#listen().catch((error: unknown) => {
      this.#server = undefined
      throw error
    })
    const { port } = (await this.#server).address() as AddressInfo
    const token = random.bytes(TOKEN_BYTES).toString('base64url')
    this.#waiting.set(token, { target, cancel: clock.after(TOKEN_MS_MAX, () => this.#waiting.delete(token)) })
    return `http://127.0.0.1:${port}/${target.kind === 'portForward' ? 'portforward' : target.kind}/${token}`
  }

  async close(): Promise<void> {
    for (const { cancel } of this.#waiting.values()) cancel()
    this.#waiting.clear()
    const server = await this.#server?.catch(() => undefined)
    this.#server = undefined
    server?.closeAllConnections()
    server?.close()
  }

  #listen(): Promise<Server> {
    const serveUpgrade = createUpgrades(this.#deps)
    const server = createServer((request, response) => {
      response.statusCode = this.#waiting.has(tokenOf(request)) ? 400 : 404
      response.end(response.statusCode === 400 ? 'Upgrade request required\n' : '404 page not found\n')
    })
    server.requestTimeout = 0
    server.on('upgrade', (request, socket, head) => {
      socket.on('error', () => { /* the client went away */ })
      this.#upgrade(request, socket, head, serveUpgrade).catch((error: unknown) => refuse(socket, error))
    })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', () => resolve(server))
    })
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, serveUpgrade: ReturnType<typeof createUpgrades>): Promise<void> {
    const token = tokenOf(request)
    const found = this.#waiting.get(token)
    if (!found) throw new CodedError('CRI_NOT_FOUND', '404 page not found')
    this.#waiting.delete(token)
    found.cancel()
    await serveUpgrade(withQuery(found.target, request), request, socket, head)
  }
}

/** A WebSocket client names its ports in the query; one over SPDY in each stream. */
function withQuery(target: StreamTarget, request: IncomingMessage): StreamTarget {
  if (target.kind !== 'portForward') return target
  const asked = new URL(request.url ?? '/', 'http://localhost').searchParams.getAll('port').flatMap((p) => p.split(',')).map(parsePort)
  return asked.length > 0 ? { ...target, ports: asked } : target
}

function tokenOf(request: IncomingMessage): string {
  return new URL(request.url ?? '/', 'http://localhost').pathname.split('/')[2] ?? ''
}

function refuse(socket: Duplex, error: unknown): void {
  const code = error instanceof CodedError && error.code === 'CRI_NOT_FOUND' ? '404 Not Found' : error instanceof CodedError && error.code === 'BAD_REQUEST' ? '400 Bad Request' : '500 Internal Server Error'
  const text = asError(error).message
  socket.end(`HTTP/1.1 ${code}\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`)
}
