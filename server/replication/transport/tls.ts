/** TLS under the transport: how a member is called, and how a call is taken. */
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import type { Clock } from '#base/clock.ts'
import { CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { MemberId } from '../../raft/types.ts'
import { callerOf, memberName, memberOf, RAFT_ALPN } from './member-name.ts'
import { createPeerTransport, type PeerTransport, type PeerTransportOptions } from './transport.ts'

/** PEM. `cert` is the member's own: for its name, of the authority `ca`. */
export interface MemberCredentials { ca: string; cert: string; key: string }

export interface TlsPeerTransportOptions extends Omit<PeerTransportOptions, 'dial'> {
  /** Asked for at each connection, so that renewed certificates are used. */
  credentials: () => MemberCredentials
}

export interface TlsPeerTransport extends PeerTransport {
  /** For the listener (SNI): under the own member's name another certificate and another authority hold. Undefined: no member's name. */
  contextOf(serverName: string): SecureContext | undefined
  /** A connection whose ALPN is `skiff-raft/1`. */
  acceptTls(socket: TLSSocket): void
}

const DIAL_TIMEOUT_MS = 3_000

export function createTlsPeerTransport(options: TlsPeerTransportOptions): TlsPeerTransport {
  const { id, clock, credentials } = options
  const log: Log = options.log.with('transport')
  const peers = createPeerTransport({ ...options, dial: (member, address, signal) => dialMember(member, address, credentials(), clock, signal) })
  return {
    ...peers,
    contextOf(serverName) {
      if (memberOf(serverName) !== id) return undefined
      const { ca, cert, key } = credentials()
      return createSecureContext({ ca, cert, key, minVersion: 'TLSv1.3' })
    },
    acceptTls(socket) {
      const caller = socket.servername === memberName(id) ? callerOf(socket, credentials().ca, clock.nowMs()) : undefined
      if (caller === undefined) {
        log.warn('refused a connection: it is not of another server of this cluster', { remoteAddress: socket.remoteAddress })
        socket.destroy()
        return
      }
      socket.setNoDelay(true)
      peers.accept(socket, caller)
    },
  }
}

function dialMember(member: MemberId, address: string, { ca, cert, key }: MemberCredentials, clock: Clock, signal: AbortSignal): Promise<TLSSocket> {
  const url = URL.canParse(`https://${address}`) ? new URL(`https://${address}`) : undefined
  return new Promise((resolve, reject) => {
    if (!url) return reject(new CodedError('PEER_ADDRESS', `${JSON.stringify(address)} is no address of a server`))
    const socket = connect({
      host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 443), servername: memberName(member),
      ca, cert, key, ALPNProtocols: [RAFT_ALPN], minVersion: 'TLSv1.3', rejectUnauthorized: true,
    })
    const settle = (error?: Error) => {
      cancel()
      signal.removeEventListener('abort', onAbort)
      socket.off('error', settle)
      if (!error) return resolve(socket)
      // Whatever it still says is of no interest.
      socket.on('error', () => {})
      socket.destroy()
      reject(error)
    }
    const onAbort = () => settle(new CodedError('ABORTED', 'stopping'))
    const cancel = clock.after(DIAL_TIMEOUT_MS, () => settle(new CodedError('PEER_TIMEOUT', `${address} did not answer within ${DIAL_TIMEOUT_MS / 1000} s`)))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.setNoDelay(true)
    socket.once('error', settle)
    socket.once('close', () => settle(new CodedError('PEER_CLOSED', `${address} closed the connection`)))
    socket.once('secureConnect', () => settle(socket.alpnProtocol === RAFT_ALPN ? undefined : new CodedError('PEER_REFUSED', `${address} does not speak ${RAFT_ALPN}`)))
  })
}
