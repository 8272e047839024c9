/** A log over WebSocket: whatever is there becomes a message, binary or in base64 (upstream's wsstream.Reader). */
import type { BodyStream } from '#api/client/transport.ts'
import type { WebSocketAnswer } from '../http/websocket-answer.ts'

const BASE64 = 'base64.binary.k8s.io'
const PROTOCOLS: ReadonlySet<string> = new Set(['binary.k8s.io', BASE64])

export function logMessages(body: BodyStream | Buffer): WebSocketAnswer {
  return {
    body,
    protocol: (offered) => offered.find((name) => PROTOCOLS.has(name)),
    // Clients take the empty message for the news that the connection stands.
    first: (protocol) => (protocol === BASE64 ? '' : Buffer.alloc(0)),
    messages: (protocol) => (protocol === BASE64 ? (chunk) => [chunk.toString('base64')] : (chunk) => [chunk]),
  }
}
