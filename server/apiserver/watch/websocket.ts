/** A watch over WebSocket, as clients in browsers and old ones ask for it: each event is a message (upstream's WatchServer.HandleWS). */
import type { BodyStream } from '#api/client/transport.ts'
import type { WebSocketAnswer } from '../http/websocket-answer.ts'
import { WEBSOCKET_BEARER } from '../nodes/upgrade.ts'
import { PROTOBUF_WATCH_TYPE } from '../protobuf/index.ts'

export interface WatchAnswer { headers: Readonly<Record<string, string>>; body: BodyStream | Buffer }

export function watchMessages({ headers, body }: WatchAnswer): WebSocketAnswer {
  return {
    body,
    protocol: (offered) => offered.find((name) => !name.startsWith(WEBSOCKET_BEARER)),
    messages: () => (headers['content-type'] === PROTOBUF_WATCH_TYPE ? frames : lines),
  }
}

const NEWLINE = 0x0a

/** JSON events are a line each; the line break is part of the message, as upstream's encoder leaves it. */
function* lines(chunk: Buffer): Generator<string> {
  for (let at = 0; at < chunk.length;) {
    const end = chunk.indexOf(NEWLINE, at)
    const next = end < 0 ? chunk.length : end + 1
    yield chunk.toString('utf8', at, next)
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
