/** HTTPS/1.1 requests over connections that are kept and used again, one small pool for each server and way to trust it. */
import type { Agent, IncomingMessage, RequestOptions } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import { authorityOf, type Dial, type Route } from './dialer.ts'
import { secure, type TlsTrust } from './tls.ts'

export interface HttpsTarget {
  /** What the Host header says. */
  host: string
  port: number
  route: Route
  tls: TlsTrust
}

export interface HttpsRequest {
  method: string
  /** With query. */
  path: string
  headers: Readonly<Record<string, string | string[]>>
  /** What comes as a stream can be sent only once. */
  body?: Buffer | Readable | undefined
  /** May be sent again when a kept connection turns out to have been closed. Default: by method, as Go. */
  replayable?: boolean
  signal: AbortSignal
}

export interface PoolLimits {
  /** Requests in flight to one target; more wait. */
  connectionsMax: number
  /** Kept for later. */
  idleMax: number
  idleMs: number
  /** The least recently used target is forgotten. */
  targetsMax: number
}

/** A webhook is called with every write: a few connections carry that. */
export const WEBHOOK_POOL: PoolLimits = { connectionsMax: 32, idleMax: 4, idleMs: 30_000, targetsMax: 128 }

export interface HttpsPool {
  /** Resolves with the head of the answer; rejects in Go's words. */
  request(target: HttpsTarget, request: HttpsRequest): Promise<IncomingMessage>
  /** A connection of its own, for upgrades. */
  connect(target: HttpsTarget, signal: AbortSignal): Promise<TLSSocket>
  /** Ends all connections; requests in flight fail. */
  close(): void
}

export function createHttpsPool(dial: Dial, clock: Clock, limits: PoolLimits = WEBHOOK_POOL): HttpsPool {
  const agents = new Map<string, Pooled>()
  const open = async (target: HttpsTarget, signal: AbortSignal): Promise<TLSSocket> => secure(await dial(target.route, signal), target.tls, clock, signal)

  const agentFor = async (target: HttpsTarget): Promise<Pooled> => {
    const key = keyOf(target)
    let agent = agents.get(key)
    if (!agent) {
      const made = { agent: await createAgent(target), gate: createGate(limits.connectionsMax) }
      agent = agents.get(key) ?? made
      agents.set(key, agent)
      const [oldest] = agents.keys()
      if (agents.size > limits.targetsMax && oldest !== undefined) {
        agents.get(oldest)?.agent.destroy()
        agents.delete(oldest)
      }
    } else {
      // Last used, last in the map.
      agents.delete(key)
      agents.set(key, agent)
    }
    return agent
  }

  const createAgent = async (target: HttpsTarget): Promise<Agent> => {
    const { Agent: HttpAgent } = await import('node:http')
    const agent = new HttpAgent({ keepAlive: true, maxFreeSockets: limits.idleMax, timeout: limits.idleMs, scheduling: 'lifo' })
    agent.createConnection = (_options, made) => {
      // A request that gives up leaves its connection to the next; dialing has limits of its own.
      open(target, new AbortController().signal).then((socket) => made?.(null, socket), (error: unknown) => made?.(asError(error), undefined as unknown as Duplex))
      return undefined
    }
    return agent
  }

  const once = async (target: HttpsTarget, request: HttpsRequest): Promise<IncomingMessage> => {
    const [{ request: send }, { agent, gate }] = await Promise.all([import('node:http'), agentFor(target)])
    const leave = await gate(request.signal)
    return new Promise((resolve, reject) => {
      const options: RequestOptions = {
        agent, method: request.method, path: request.path, host: target.host, port: target.port, signal: request.signal,
        headers: { ...request.headers, host: authorityOf(target.host, target.port), ...(Buffer.isBuffer(request.body) && { 'content-length': String(request.body.length) }) },
      }
      const outgoing = send(options, resolve)
      // After the answer's last byte.
      outgoing.on('close', leave)
      outgoing.on('error', (error) => reject(outgoing.reusedSocket && isStale(error) ? new CodedError('STALE', error.message) : worded(error, request.signal)))
      // An idle connection's limit is no request's.
      outgoing.on('socket', (socket) => socket.setTimeout(0))
      const { body } = request
      if (body === undefined || Buffer.isBuffer(body)) return void outgoing.end(body)
      body.pipe(outgoing)
      body.on('error', (error) => outgoing.destroy(error))
      body.on('close', () => { if (!body.readableEnded) outgoing.destroy(new Error('the client broke off')) })
      // Whatever the other side does not read, nobody does.
      outgoing.on('close', () => { body.unpipe(outgoing); body.resume() })
    })
  }

  return {
    connect: open,
    async request(target, request) {
      for (;;) {
        try {
          return await once(target, request)
        } catch (error) {
          // The other end has closed an idle connection just now. Whether it did something before, nobody knows.
          if (!hasCode(error, 'STALE')) throw error
          const isWhole = request.body === undefined || Buffer.isBuffer(request.body)
          if (!isWhole || !(request.replayable ?? SAFE.has(request.method))) throw new CodedError('REQUEST_FAILED', 'EOF', { cause: error })
        }
      }
    },
    close() {
      for (const { agent } of agents.values()) agent.destroy()
      agents.clear()
    },
  }
}

interface Pooled { agent: Agent; gate: (signal: AbortSignal) => Promise<() => void> }

/** Node's agent does not count connections still being made. The function it resolves with lets the next one in. */
function createGate(max: number): Pooled['gate'] {
  const waiting = new Set<() => void>()
  let inside = 0
  const leave = (): void => {
    inside--
    const [next] = waiting
    if (next) next()
  }
  return (signal) => new Promise((resolve, reject) => {
    const enter = (): void => {
      waiting.delete(enter)
      signal.removeEventListener('abort', onAbort)
      inside++
      resolve(leave)
    }
    const onAbort = (): void => {
      waiting.delete(enter)
      reject(new CodedError('ABORTED', 'context canceled'))
    }
    if (signal.aborted) return onAbort()
    if (inside < max) return enter()
    waiting.add(enter)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

const keys = new WeakMap<HttpsTarget, string>()

function keyOf(target: HttpsTarget): string {
  let key = keys.get(target)
  if (key === undefined) keys.set(target, (key = keyText(target)))
  return key
}

function keyText({ host, port, route, tls }: HttpsTarget): string {
  return JSON.stringify([host, port, route, tls.serverName, tls.ca ?? '', tls.insecure ?? false, tls.clientCertificate?.certPem ?? ''])
}

const isStale = (error: Error): boolean => hasCode(error, 'ECONNRESET') || hasCode(error, 'EPIPE')

function worded(error: Error, signal: AbortSignal): Error {
  if (signal.aborted) return new CodedError('ABORTED', 'context canceled', { cause: error })
  if (error instanceof CodedError) return error
  return new CodedError('REQUEST_FAILED', isStale(error) ? 'EOF' : error.message, { cause: error })
}
