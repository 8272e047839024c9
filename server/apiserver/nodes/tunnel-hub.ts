/**
 * The agents' outbound connections, as the server holds them: each agent dials, proves its node's name by its
 * certificate, and from then on the server opens CONNECT streams down that connection (HTTP/2, roles reversed).
 */
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { peerOf } from '../http/peer.ts'
import { KUBELET, type NodeConnector } from './connector.ts'

export const TUNNEL_ALPN = 'skiff-tunnel/1'

const NODE_USER = 'system:node:'
const NODES_GROUP = 'system:nodes'
/** The agent answers a CONNECT within this; a link that is dead but not yet noticed shows here. */
const CONNECT_TIMEOUT_MS = 10_000
/** A link that does not answer is dropped, so that the agent's next dial takes its place. */
const PING_EVERY_MS = 30_000
const PING_TIMEOUT_MS = 15_000
/** The same for one that has a newer one beside it. */
const REPLACED_TIMEOUT_MS = 3_000
/** Read ahead per stream: logs and copies fill a fast link without holding much. */
const WINDOW_BYTES = 1024 * 1024

/** One agent's connection. */
interface Link {
  readonly session: ClientHttp2Session
  /** Open, or being opened. */
  streams: number
  readonly end: () => void
}

export interface TunnelHub extends NodeConnector {
  /** Takes over an agent's connection (ALPN skiff-tunnel/1); destroys it when the certificate is not a node's. */
  accept(socket: TLSSocket): void
  connected(): string[]
  isConnected(nodeName: string): boolean
  /** Takes no new connections; each ends when the last of its streams has ended. */
  drain(): void
  close(): void
}

export interface TunnelHubOptions {
  clock: Clock
  log: Log
  /** After a start, agents need a moment to be back: until then whoever asks for one that is missing waits for it. Default: nobody waits. */
  agentsBackMs?: number
}

export function createTunnelHub(options: TunnelHubOptions): TunnelHub {
  const { clock, agentsBackMs = 0 } = options
  const log = options.log.with('tunnel-hub')
  /** By node, the newest first. A node may call by two names of this server, and finds out only when it is connected. */
  const links = new Map<string, Link[]>()
  const state = { closed: false }
  const allBackAtMs = clock.monotonicMs() + agentsBackMs
  /** By node: who waits for its agent to be back. */
  const waiting = new Map<string, Set<() => void>>()
  const wake = (node: string) => {
    for (const go of waiting.get(node) ?? []) go()
    waiting.delete(node)
  }

  function isBack(node: string): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.after(allBackAtMs - clock.monotonicMs(), go)
      const others = waiting.get(node) ?? new Set()
      waiting.set(node, others.add(go))
      function go() {
        cancel()
        others.delete(go)
        // Names that no node has are asked for, too.
        if (others.size === 0 && waiting.get(node) === others) waiting.delete(node)
        resolve()
      }
    })
  }

  async function open(node: string, socket: TLSSocket): Promise<void> {
    const { connect } = await import('node:http2')
    const session = connect('https://node', { createConnection: () => socket, settings: { initialWindowSize: WINDOW_BYTES, enablePush: false } })
    const link: Link = {
      session, streams: 0,
      end: () => {
        session.destroy()
        // A session that has been closed politely would wait for its peer to do the same.
        socket.destroy()
      },
    }
    const older = links.get(node) ?? []
    links.set(node, [link, ...older])
    // Most often the agent gave up on them before it called again.
    for (const one of older) endIfDead(one, clock)
    log.info('node connected', { node, remoteAddress: socket.remoteAddress })
    const stopPings = keepAlive(session, clock, () => {
      log.info('node does not answer pings', { node })
      link.end()
    })
    socket.on('end', link.end)
    session.on('error', (error) => log.debug('node connection failed', { node, error }))
    session.on('close', () => {
      stopPings()
      socket.destroy()
      const left = links.get(node)?.filter((l) => l !== link) ?? []
      if (left.length > 0) links.set(node, left)
      else if (links.delete(node)) log.info('node disconnected', { node })
    })
    if (state.closed) link.end()
    wake(node)
  }

  return {
    accept(socket) {
      const peer = peerOf(socket)
      const certificate = 'certificate' in peer ? peer.certificate : undefined
      const name = certificate?.commonName ?? ''
      if (state.closed || !name.startsWith(NODE_USER) || name === NODE_USER || !certificate?.organizations.includes(NODES_GROUP)) {
        log.warn('refused a tunnel: its certificate is not a node\'s', { commonName: name, remoteAddress: socket.remoteAddress })
        socket.destroy()
        return
      }
      open(name.slice(NODE_USER.length), socket).catch((error: unknown) => {
        log.warn('a tunnel could not be set up', { error: asError(error) })
        socket.destroy()
      })
    },
    async connect(nodeName, authority = KUBELET) {
      if (!links.has(nodeName) && !state.closed && clock.monotonicMs() < allBackAtMs) await isBack(nodeName)
      const link = links.get(nodeName)?.find(({ session }) => !session.destroyed && !session.closed)
      if (!link || state.closed) {
        throw new CodedError('NODE_NOT_CONNECTED', `node ${JSON.stringify(nodeName)} is not connected to this server`, { details: { node: nodeName } })
      }
      link.streams++
      const left = () => {
        if (--link.streams === 0 && state.closed) link.end()
      }
      return openStream(link.session, clock, nodeName, authority, left)
    },
    connected: () => [...links.keys()].sort(),
    isConnected: (nodeName) => links.has(nodeName),
    drain() {
      state.closed = true
      for (const node of waiting.keys()) wake(node)
      for (const link of [...links.values()].flat()) if (link.streams === 0) link.end()
    },
    close() {
      state.closed = true
      for (const link of [...links.values()].flat()) link.end()
    },
  }
}

function endIfDead(link: Link, clock: Clock): void {
  const cancel = clock.after(REPLACED_TIMEOUT_MS, link.end)
  if (link.session.destroyed || !link.session.ping(() => cancel())) cancel()
}

/** `onEnd` is told once, whether the stream came to be or not. */
function openStream(session: ClientHttp2Session, clock: Clock, node: string, authority: string, onEnd: () => void): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const refuse = (because: string, cause?: unknown) => reject(new CodedError('NODE_REFUSED', `node ${JSON.stringify(node)}: ${because}`, { cause }))
    let stream: ClientHttp2Stream
    try {
      stream = session.request({ ':method': 'CONNECT', ':authority': authority }, { endStream: false })
    } catch (error) {
      // The session is going (its peer said so), or has given out all its stream ids.
      onEnd()
      return refuse(asError(error).message, error)
    }
    const fail = (because: string, cause?: unknown) => {
      cancel()
      stream.destroy()
      refuse(because, cause)
    }
    const cancel = clock.after(CONNECT_TIMEOUT_MS, () => fail(`no answer within ${CONNECT_TIMEOUT_MS / 1000} s`))
    const onError = (error: Error) => fail(error.message, error)
    stream.once('error', onError)
    stream.once('response', (headers) => {
      const status = Number(headers[':status'])
      if (status !== 200) return fail(`its agent refused ${authority} with status ${status}`)
      cancel()
      stream.off('error', onError)
      resolve(stream)
    })
    stream.once('close', () => {
      fail('the connection closed')
      onEnd()
    })
  })
}

/** Returns what stops it. */
function keepAlive(session: ClientHttp2Session, clock: Clock, onDead: () => void): () => void {
  let cancel = () => {}
  const ping = () => {
    if (session.destroyed) return
    cancel = clock.after(PING_TIMEOUT_MS, onDead)
    const sent = session.ping((error) => {
      cancel()
      if (!error && !session.destroyed) cancel = clock.after(PING_EVERY_MS, ping)
    })
    if (!sent) onDead()
  }
  cancel = clock.after(PING_EVERY_MS, ping)
  return () => cancel()
}
