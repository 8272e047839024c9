/** A watch over WebSocket, as clients in browsers and old ones ask for it: each event is a message (upstream's WatchServer.HandleWS). */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { BodySink, BodyStream } from '#api/client/transport.ts'
import { badRequest } from '../http/status.ts'
import { WEBSOCKET_BEARER } from '../nodes/upgrade.ts'
import { PROTOBUF_WATCH_TYPE } from '../protobuf/index.ts'

/** What waits to be sent before the watch is parked. */
const BUFFERED_BYTES_MAX = 64 * 1024
/** Clients have nothing to say. */
const MESSAGE_BYTES_MAX = 4 * 1024

export interface WatchAnswer { headers: Readonly<Record<string, string>>; body: BodyStream | Buffer }

/**
 * Takes the socket over. `ended`: the client has closed the WebSocket. Throws a refusal when the request is no WebSocket's, and nothing
 * has been sent then.
 */
export async function watchOverWebSocket(request: { method: string; headers: Readonly<Record<string, string>> }, socket: Duplex, head: Buffer, { headers, body }: WatchAnswer, ended: () => void): Promise<void> {
  if (!/^[A-Za-z0-9+/]{22}==$/.test(request.headers['sec-websocket-key'] ?? '') || request.headers['sec-websocket-version'] !== '13') throw badRequest('the upgrade is not one of a WebSocket of version 13')
  const { WebSocketServer } = await import('ws')
  const server = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX, perMessageDeflate: false, clientTracking: false, handleProtocols: (offered) => [...offered].find((name) => !name.startsWith(WEBSOCKET_BEARER)) ?? false })
  await new Promise<void>((resolve) => {
    server.handleUpgrade(request as unknown as IncomingMessage, socket, head, (ws) => {
      const isBinary = headers['content-type'] === PROTOBUF_WATCH_TYPE
      const split = isBinary ? frames : lines
      const drains: (() => void)[] = []
      ws.on('error', () => ws.terminate())
      ws.on('close', ended)
      const sink: BodySink = {
        write(chunk) {
          for (const message of split(chunk)) ws.send(message, { binary: isBinary }, () => { if (ws.bufferedAmount < BUFFERED_BYTES_MAX) for (const drained of drains) drained() })
          return ws.bufferedAmount < BUFFERED_BYTES_MAX
        },
        onDrain: (fn) => { drains.push(fn) },
        end: () => ws.close(1000),
        fail: () => ws.terminate(),
      }
      if (Buffer.isBuffer(body)) {
        sink.write(body)
        sink.end()
      } else body.start(sink)
      resolve()
    })
  })
}

const NEWLINE = 0x0a

/** JSON events are a line each; the line break is part of the message, as upstream's encoder leaves it. */
function* lines(chunk: Buffer): Generator<Buffer> {
  for (let at = 0; at < chunk.length;) {
    const end = chunk.indexOf(NEWLINE, at)
    const next = end < 0 ? chunk.length : end + 1
    yield chunk.subarray(at, next)
    at = next
  }
}

const LENGTH_BYTES = 4

/** Events in protobuf come with their length, which a message needs not say. */
function* frames(chunk: Buffer): Generator<Buffer> {
  for (let at = 0; at + LENGTH_BYTES <= chunk.length;) {
    const start = at + LENGTH_BYTES
    at = start + chunk.readUInt32BE(at)
    yield chunk.subarray(start, at)
  }
}
