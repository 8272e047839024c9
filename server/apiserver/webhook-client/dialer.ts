/**
 * Byte streams to where a webhook or an extension API server listens. A Service's pods are reached through the tunnel of
 * their node, which works behind NAT; what has no node, or a node that cannot help, is dialed from here.
 */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Client } from '#api/client/client.ts'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import type { Random } from '#base/random.ts'
import type { NodeConnector } from '../nodes/connector.ts'
import { resolveService, type Address, type ServicePort } from './endpoints.ts'
import { goNetError } from './go-error.ts'

export type Route = { host: string; port: number } | { service: ServicePort }

export interface DialerParts {
  /** As the API server itself; undefined: Services cannot be reached, only URLs. */
  client: Client | undefined
  /** Undefined: all is dialed from here. */
  connector: NodeConnector | undefined
  clock: Clock
  random: Random
}

/** Rejects with a message in Go's words (`dial tcp 10.0.0.1:443: connect: connection refused`). */
export type Dial = (route: Route, signal: AbortSignal) => Promise<Duplex>

/** Endpoints tried before giving up: one that has just gone must not fail the call. */
const ENDPOINTS_TRIED = 3
/** Go's dialer gives a connection 30 s; a webhook's own timeout is shorter. */
const CONNECT_MS_MAX = 30_000

export function createDialer({ client, connector, clock, random }: DialerParts): Dial {
  const open = (address: Address, signal: AbortSignal): Promise<Duplex> =>
    (address.node !== undefined && connector ? throughNode(connector, address, clock, signal) : dialTcp(address.host, address.port, clock, signal))
  return async (route, signal) => {
    if (!('service' in route)) return dialTcp(route.host, route.port, clock, signal)
    if (!client) throw new CodedError('NO_SERVICES', `service ${JSON.stringify(route.service.name)} cannot be reached: only a URL can be called here`)
    const addresses = shuffled(await resolveService(client, route.service), random).slice(0, ENDPOINTS_TRIED)
    let failure: unknown
    for (const address of addresses) {
      try {
        return await open(address, signal)
      } catch (error) {
        failure = error
        if (signal.aborted) break
      }
    }
    throw asError(failure)
  }
}

async function throughNode(connector: NodeConnector, address: Address, clock: Clock, signal: AbortSignal): Promise<Duplex> {
  try {
    return await connector.connect(address.node ?? '', authorityOf(address.host, address.port))
  } catch (error) {
    // Not connected, or it knows no such pod (an EndpointSlice made by hand): from here it may still be in reach.
    try {
      return await dialTcp(address.host, address.port, clock, signal)
    } catch (direct) {
      throw new CodedError('UNREACHABLE', `${asError(direct).message} (${asError(error).message})`, { cause: error })
    }
  }
}

async function dialTcp(host: string, port: number, clock: Clock, signal: AbortSignal): Promise<Socket> {
  const { connect } = await import('node:net')
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true })
    const settle = (error?: Error): void => {
      cancel()
      signal.removeEventListener('abort', onAbort)
      socket.off('error', settle)
      if (!error) return resolve(socket)
      socket.destroy()
      reject(error)
    }
    const onAbort = (): void => settle(new CodedError('ABORTED', 'context canceled'))
    const cancel = clock.after(CONNECT_MS_MAX, () => settle(new CodedError('TIMEOUT', `dial tcp ${authorityOf(host, port)}: i/o timeout`)))
    socket.once('error', (error) => settle(new CodedError('UNREACHABLE', goNetError(error, { host, port }), { cause: error })))
    socket.once('connect', () => settle())
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  return list.map((item) => ({ item, at: random.next() })).sort((a, b) => a.at - b.at).map(({ item }) => item)
}

export const authorityOf = (host: string, port: number): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)
