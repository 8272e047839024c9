/** An answer that is sent as messages over a WebSocket instead of as a body over HTTP: watches and logs. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { BodySink, BodyStream } from '#api/client/transport.ts'
import { badRequest } from './status.ts'

/** What waits to be sent before whoever writes is parked. */
const BUFFERED_BYTES_MAX = 64 * 1024
/** Clients have nothing to say. */
const MESSAGE_BYTES_MAX = 4 * 1024

export interface WebSocketAnswer {
  body: BodyStream | Buffer
  /** Which of the sub-protocols the client offers is told back; undefined: none. */
  protocol(offered: readonly string[]): string | undefined
  /** How pieces of the body become messages, by what `protocol` gave; a string is a text message. */
  messages(protocol: string | undefined): (chunk: Buffer) => Iterable<Buffer | string>
  /** Goes before the body. */
  first?(protocol: string | undefined): Buffer | string
}

/**
 * Takes the socket over. `ended`: the client has closed the WebSocket. Throws a refusal when the request is no WebSocket's, and nothing
 * has been sent then.
 */
export async function answerOverWebSocket(request: { method: string; headers: Readonly<Record<string, string>> }, socket: Duplex, head: Buffer, answer: WebSocketAnswer, ended: () => void): Promise<void> {
  if (!/^[A-Za-z0-9+/]{22}==$/.test(request.headers['sec-websocket-key'] ?? '') || request.headers['sec-websocket-version'] !== '13') throw badRequest('the upgrade is not one of a WebSocket of version 13')
  const { WebSocketServer } = await import('ws')
  const server = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX, perMessageDeflate: false, clientTracking: false, handleProtocols: (offered) => answer.protocol([...offered]) ?? false })
  await new Promise<void>((resolve) => {
    server.handleUpgrade(request as unknown as IncomingMessage, socket, head, (ws) => {
      const protocol = ws.protocol === '' ? undefined : ws.protocol
      const split = answer.messages(protocol)
      const drains: (() => void)[] = []
      const send = (message: Buffer | string) => ws.send(message, () => { if (ws.bufferedAmount < BUFFERED_BYTES_MAX) for (const drained of drains) drained() })
      ws.on('error', () => ws.terminate())
      ws.on('close', ended)
      const sink: BodySink = {
        write(chunk) {
          for (const message of split(chunk)) send(message)
          return ws.bufferedAmount < BUFFERED_BYTES_MAX
        },
        onDrain: (fn) => { drains.push(fn) },
        end: () => ws.close(1000),
        fail: () => ws.terminate(),
      }
      if (answer.first) send(answer.first(protocol))
      const { body } = answer
      if (Buffer.isBuffer(body)) {
        sink.write(body)
        sink.end()
      } else body.start(sink)
      resolve()
    })
  })
}
