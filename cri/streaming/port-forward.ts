/**
 * Port-forward: pairs of SPDY streams (error and data, same `requestid`), each a connection to one port of the pod.
 * The SPDY connection comes as itself or tunnelled through a WebSocket (`SPDY/3.1+portforward.k8s.io`, KEP-4006).
 */
import type { Duplex } from 'node:stream'
import { asError, CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { SpdySession, type SpdyStream } from './spdy/session.ts'

export const PORT_FORWARD_PROTOCOL = 'portforward.k8s.io'
export const PORT_FORWARD_TUNNEL = `SPDY/3.1+${PORT_FORWARD_PROTOCOL}`

export type Dial = (port: number) => Promise<Duplex>

/** Throws BAD_REQUEST. */
export function parsePort(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) throw new CodedError('BAD_REQUEST', `invalid port ${JSON.stringify(text)}`)
  return port
}

export function servePortForward(connection: Duplex, dial: Dial, log: Log): void {
  const pairs = new Map<string, { error?: SpdyStream; data?: SpdyStream }>()
  const session = new SpdySession(connection, {
    onStream(stream) {
      const { streamtype, port = '', requestid } = stream.headers
      // Clients before request ids numbered their streams: the data stream follows its error stream.
      const id = requestid ?? String(streamtype === 'error' ? stream.id : stream.id - 2)
      const pair = pairs.get(id) ?? {}
      pairs.set(id, pair)
      if (streamtype === 'error') pair.error = stream
      else if (streamtype === 'data') pair.data = stream
      else return void stream.destroy()
      stream.on('close', () => {
        if (pair.error?.destroyed !== false && pair.data?.destroyed !== false) pairs.delete(id)
      })
      if (pair.error && pair.data) void forward(pair.error, pair.data, port, dial, log)
    },
    onClose: () => pairs.clear(),
  })
  connection.on('error', (error) => session.close(error))
}

async function forward(errors: SpdyStream, data: SpdyStream, port: string, dial: Dial, log: Log): Promise<void> {
  errors.resume()
  let target: Duplex
  try {
    target = await dial(parsePort(port))
  } catch (error) {
    log.debug('port-forward failed', { port, error: asError(error) })
    errors.end(`error forwarding port ${port}: ${asError(error).message}`)
    data.end()
    data.resume()
    return
  }
  const done = () => {
    if (!errors.writableEnded) errors.end()
  }
  target.on('error', (error) => {
    if (!errors.writableEnded) errors.end(`error forwarding port ${port}: ${error.message}`)
    data.destroy()
  })
  target.on('end', done).on('close', () => { done(); if (!data.writableEnded) data.end() })
  data.on('close', () => target.destroy())
  data.pipe(target)
  target.pipe(data)
}
