/**
 * The transport between servers: mutually authenticated TLS on the API's port (ALPN `skiff-raft/1`). One connection
 * carries both directions of a pair. The member with the lower id is the one that dials; the other one does so only
 * when it has something to say and was not called for a moment, as to a server that waits to be added and knows nobody.
 */
import type { Duplex } from 'node:stream'
import { backoffMs, type BackoffPolicy } from '#base/backoff.ts'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { MemberId } from '../../raft/types.ts'
import type { Transport, TransportHandlers } from '../contract.ts'
import type { Frame } from './codec.ts'
import { LateNews } from './late-news.ts'
import { openLink, type Link } from './link.ts'

export interface PeerTransportOptions {
  id: MemberId
  /** Connects and proves both sides; rejects when that fails or takes too long. */
  dial: (member: MemberId, address: string, signal: AbortSignal) => Promise<Duplex>
  clock: Clock
  random: Random
  log: Log
  queueBytesMax?: number
}

export interface PeerTransport extends Transport {
  /** A connection from another server, which is proven to be `member`. */
  accept(socket: Duplex, member: MemberId): void
}

/** No longer: an election must not wait for a server that is back. */
const REDIAL: BackoffPolicy = { baseMs: 100, maxMs: 1_000, jitter: 0.5 }
/** The member whose turn it is not waits so long to be called. */
const NOT_OUR_TURN_MS = 500
/** Members of no configuration this one knows (it has yet to learn of them, or they were removed and are to be told): so many, for so long. */
const STRANGERS_MAX = 16
const STRANGER_IDLE_MS = 30_000

interface Peer {
  readonly id: MemberId
  /** Undefined: a stranger, which is not dialled. */
  address: string | undefined
  link: Link | undefined
  isOurs: boolean
  /** Ends a dial or the wait for the next one. */
  dialing: AbortController | undefined
  failures: number
  /** That messages were lost was told since the last one that went out. */
  isToldLost: boolean
}

export function createPeerTransport(options: PeerTransportOptions): PeerTransport {
  const { id: self, clock, random } = options
  const log = options.log.with('transport')
  const incarnation = 1 + Math.floor(random.next() * (Number.MAX_SAFE_INTEGER - 1))
  const peers = new Map<MemberId, Peer>()
  const opening = new Set<Link>()
  const state: { handlers: TransportHandlers | undefined; closed: boolean } = { handlers: undefined, closed: false }

  const peerOf = (id: MemberId): Peer => {
    let peer = peers.get(id)
    if (!peer) peers.set(id, (peer = { id, address: undefined, link: undefined, isOurs: false, dialing: undefined, failures: 0, isToldLost: false }))
    return peer
  }

  /** The wait for our turn, or for the next attempt, and the attempt. */
  function dialLater(peer: Peer, waitMs: number): void {
    if (state.closed || peer.dialing || peer.link || peer.address === undefined) return
    const dialing = (peer.dialing = new AbortController())
    const cancel = clock.after(waitMs, () => {
      dialing.signal.removeEventListener('abort', cancel)
      void dialNow(peer, dialing)
    })
    dialing.signal.addEventListener('abort', cancel, { once: true })
  }

  async function dialNow(peer: Peer, dialing: AbortController): Promise<void> {
    const { address = '' } = peer
    let socket: Duplex | undefined
    try {
      socket = await options.dial(peer.id, address, dialing.signal)
    } catch (error) {
      if (!dialing.signal.aborted) {
        peer.failures++
        log[peer.failures === 3 ? 'warn' : 'debug']('cannot reach another server', { member: peer.id, address, error: asError(error) })
      }
    }
    if (peer.dialing === dialing) peer.dialing = undefined
    if (!socket) {
      if (!dialing.signal.aborted) dialLater(peer, backoffMs(REDIAL, peer.failures, random))
      return
    }
    if (state.closed || dialing.signal.aborted || peer.link) socket.destroy()
    else begin(socket, peer.id, true)
  }

  function begin(socket: Duplex, member: MemberId, isOurs: boolean): void {
    const link = openLink({
      socket, self, peer: member, incarnation, clock, ...(options.queueBytesMax !== undefined && { queueBytesMax: options.queueBytesMax }),
      onOpen: (opened) => {
        opening.delete(opened)
        adopt(peerOf(member), opened, isOurs)
      },
      onFrame: (frame, from) => receive(frame, from),
      onEnd: (because, ended) => {
        opening.delete(ended)
        lose(member, ended, because, isOurs)
      },
    })
    opening.add(link)
  }

  /** Of two connections of one pair both sides keep the same one: the newer process's, else the one that the lower id dialled. */
  function adopt(peer: Peer, link: Link, isOurs: boolean): void {
    const known = peer.link
    const isRightful = isOurs === self < peer.id
    if (known && known.incarnation === link.incarnation && peer.isOurs !== isOurs && !isRightful) return link.end(new CodedError('PEER_TWICE', 'there is a connection already'))
    peer.link = link
    peer.isOurs = isOurs
    peer.failures = 0
    peer.isToldLost = false
    peer.dialing?.abort()
    peer.dialing = undefined
    known?.end(new CodedError('PEER_TWICE', 'another connection took its place'))
    log.debug('connected to another server', { member: peer.id, address: peer.address })
    if (known) {
      state.handlers?.unreachable(peer.id)
      state.handlers?.disconnected(peer.id)
    }
    state.handlers?.reachable(peer.id)
    limitStrangers()
  }

  function lose(member: MemberId, link: Link, because: Error, isOurs: boolean): void {
    const peer = peers.get(member)
    if (!peer) return
    const wasUsed = peer.link === link
    if (!wasUsed && !isOurs) return
    if (wasUsed) {
      peer.link = undefined
      log.debug('lost the connection to another server', { member, error: because })
      tellLost(peer)
      if (!state.closed) state.handlers?.disconnected(member)
    } else {
      peer.failures++
      log[peer.failures === 3 ? 'warn' : 'debug']('another server refused the connection', { member, address: peer.address, error: because })
    }
    if (peer.address === undefined) peers.delete(member)
    else if (self < member || !wasUsed) dialLater(peer, backoffMs(REDIAL, Math.max(1, peer.failures), random))
  }

  function receive(frame: Extract<Frame, { kind: 'volatile' | 'message' }>, link: Link): void {
    // What was on its way on a connection that another one replaced is lost: order holds per pair.
    if (peers.get(link.peer)?.link !== link) return
    if (frame.kind === 'message') state.handlers?.message(frame.message)
    else state.handlers?.volatile(link.peer, frame.data)
  }

  /** False: nothing of it was or will be sent. */
  function send(to: MemberId, frame: Frame): boolean {
    const peer = peers.get(to)
    if (!peer || state.closed) return false
    if (peer.link?.send(frame)) {
      peer.isToldLost = false
      return true
    }
    if (!peer.link) dialLater(peer, self < to ? 0 : NOT_OUR_TURN_MS)
    tellLost(peer)
    return false
  }

  function tellLost(peer: Peer): void {
    if (peer.isToldLost || state.closed) return
    peer.isToldLost = true
    // Not from within a send of his.
    queueMicrotask(() => { if (!state.closed) state.handlers?.unreachable(peer.id) })
  }

  const news = new LateNews((message) => { send(message.to, { kind: 'message', message }) }, (turn) => { setImmediate(turn) })

  let cancelStrangers: (() => void) | undefined
  function limitStrangers(): void {
    const strangers = [...peers.values()].filter((p) => p.address === undefined && p.link).sort((a, b) => (a.link?.heardAtMs ?? 0) - (b.link?.heardAtMs ?? 0))
    const oldestMs = clock.monotonicMs() - STRANGER_IDLE_MS
    const left = strangers.filter((p, i) => {
      const stays = i >= strangers.length - STRANGERS_MAX && (p.link?.heardAtMs ?? 0) > oldestMs
      if (!stays) p.link?.end(new CodedError('PEER_STRANGER', 'it is no member of this cluster'))
      return stays
    })
    cancelStrangers?.()
    cancelStrangers = left.length > 0 && !state.closed ? clock.after(STRANGER_IDLE_MS, limitStrangers) : undefined
  }

  return {
    start(handlers) {
      state.handlers = handlers
    },
    accept(socket, member) {
      if (state.closed || member === self) socket.destroy()
      else begin(socket, member, false)
    },
    setPeers(next) {
      for (const peer of peers.values()) {
        if (next.has(peer.id)) continue
        peer.address = undefined
        peer.dialing?.abort()
        peer.dialing = undefined
        if (!peer.link) peers.delete(peer.id)
      }
      for (const [id, address] of next) {
        if (id === self) continue
        const peer = peerOf(id)
        if (peer.address !== address) {
          peer.address = address
          peer.failures = 0
          peer.dialing?.abort()
          peer.dialing = undefined
        }
        // Whose turn it is may have called in vain while this one was away, and wait now.
        dialLater(peer, self < id ? 0 : NOT_OUR_TURN_MS)
      }
      limitStrangers()
    },
    send: (message) => news.send(message),
    sendVolatile: (to, data) => send(to, { kind: 'volatile', data }),
    close() {
      state.closed = true
      cancelStrangers?.()
      for (const link of opening) link.end(new CodedError('PEER_CLOSED', 'stopping'))
      for (const peer of peers.values()) {
        peer.dialing?.abort()
        peer.link?.end(new CodedError('PEER_CLOSED', 'stopping'))
      }
      peers.clear()
      return Promise.resolve()
    },
  }
}

