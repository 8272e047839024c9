/**
 * Exec, attach and port-forward as an HTTP/1.1 upgrade, to SPDY/3.1 or to WebSocket (cri-streaming, `server.go`). Who may
 * do what to which container is the caller's: it hands over what to open.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { IoSession } from '../runtime.ts'
import { runSession, type StreamFlags } from './channels.ts'
import { EXEC_SPDY_PROTOCOLS, spdyChannels } from './exec-spdy.ts'
import { EXEC_PROTOCOLS, webSocketChannels } from './exec-websocket.ts'
import { PORT_FORWARD_PROTOCOL, PORT_FORWARD_TUNNEL, servePortForward, type Dial } from './port-forward.ts'
import { FORWARDED_PORTS_MAX, serveWebSocketPortForward } from './port-forward-websocket.ts'
import { webSocketDuplex } from './websocket-tunnel.ts'

export type StreamTarget =
  | { kind: 'exec' | 'attach'; flags: StreamFlags; open: () => Promise<IoSession> }
  | { kind: 'portForward'; ports: readonly number[]; dial: Dial }

/** Resolves when the session is over. Rejects with BAD_REQUEST, before anything was answered, for what cannot be spoken. */
export type ServeUpgrade = (target: StreamTarget, request: IncomingMessage, socket: Duplex, head: Buffer) => Promise<void>

/** A WebSocket message is a piece of standard input or of a tunnel: clients send 32 KiB. */
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024

export function createUpgrades({ clock, log }: { clock: Clock; log: Log }): ServeUpgrade {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX, perMessageDeflate: false, handleProtocols: (offered) => chooseProtocol([...offered]) ?? false })
  // ws refuses protocol names with a slash, as RFC 6455 would have it; kubectl sends one all the same.
  sockets.on('headers', (headers, request) => {
    if (tunnels.has(request)) headers.push(`Sec-WebSocket-Protocol: ${PORT_FORWARD_TUNNEL}`)
  })
  const tunnels = new WeakSet<IncomingMessage>()

  async function overWebSocket(target: StreamTarget, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((p) => p.trim())
    if (target.kind === 'portForward') {
      if (offered.includes(PORT_FORWARD_TUNNEL)) {
        delete request.headers['sec-websocket-protocol']
        tunnels.add(request)
      } else assertPorts(target.ports, chooseProtocol(offered) ?? '')
    }
    const client = await new Promise<WebSocket>((resolve) => sockets.handleUpgrade(request, socket, head, resolve))
    client.on('error', (error) => log.debug('client connection failed', { error }))
    if (target.kind === 'portForward') {
      if (tunnels.has(request)) servePortForward(webSocketDuplex(client), target.dial, log)
      else serveWebSocketPortForward(client, client.protocol, target.ports, target.dial, log)
      return
    }
    await runSession(target.kind, target.open, webSocketChannels(client, client.protocol || 'channel.k8s.io', target.flags))
  }

  async function overSpdy(target: StreamTarget, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const offered = (request.headersDistinct['x-stream-protocol-version'] ?? []).flatMap((h) => h.split(',')).map((p) => p.trim())
    const known: readonly string[] = target.kind === 'portForward' ? [PORT_FORWARD_PROTOCOL] : EXEC_SPDY_PROTOCOLS
    const protocol = offered.length === 0 ? known.at(-1) : offered.find((p) => known.includes(p))
    if (protocol === undefined) {
      socket.end(`HTTP/1.1 403 Forbidden\r\nX-Accepted-Stream-Protocol-Versions: ${known.join(', ')}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
      return
    }
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`)
    if (head.length > 0) socket.unshift(head)
    if (target.kind === 'portForward') return servePortForward(socket, target.dial, log)
    try {
      await runSession(target.kind, target.open, await spdyChannels(socket, protocol, target.flags, clock))
    } catch (error) {
      // The answer is already 101: there is no channel left to tell the client on.
      log.debug('session failed', { error: asError(error) })
      socket.destroy()
    }
  }

  return async (target, request, socket, head) => {
    const wire = (request.headers.upgrade ?? '').toLowerCase()
    if (wire === 'websocket') return overWebSocket(target, request, socket, head)
    if (wire === 'spdy/3.1') return overSpdy(target, request, socket, head)
    throw new CodedError('BAD_REQUEST', `unable to upgrade: missing or unknown upgrade ${JSON.stringify(wire)}`)
  }
}

/** The client's order counts, as upstream's negotiation. */
export function chooseProtocol(offered: readonly string[]): string | undefined {
  const known: readonly string[] = EXEC_PROTOCOLS
  return offered.find((p) => known.includes(p))
}

function assertPorts(ports: readonly number[], protocol: string): void {
  const max = FORWARDED_PORTS_MAX[protocol.includes('base64') ? 'base64' : 'binary']
  if (ports.length === 0) throw new CodedError('BAD_REQUEST', 'query parameter "port" is required')
  if (ports.length > max) throw new CodedError('BAD_REQUEST', `at most ${max} ports can be forwarded over one WebSocket`)
}
