/**
 * Port-forward over WebSocket channels, as client libraries other than client-go speak it (upstream
 * pkg/kubelet/portforward/websocket.go): the ports are named in the query; the port with index i has channel 2i for data
 * and 2i+1 for errors. The first message of each channel is the port's number, two bytes, little-endian.
 */
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Dial } from './port-forward.ts'

/** A channel's number is one byte; in the base64 protocols one digit. */
export const FORWARDED_PORTS_MAX = { binary: 128, base64: 5 } as const

export function serveWebSocketPortForward(socket: WebSocket, protocol: string, ports: readonly number[], dial: Dial, log: Log): void {
  const isBase64 = protocol.includes('base64')
  const send = (channel: number, data: Buffer): Promise<void> => new Promise((resolve) => {
    if (socket.readyState !== socket.OPEN) return resolve()
    // Resolves when the bytes are with the kernel: that is the back-pressure.
    socket.send(isBase64 ? `${channel}${data.toString('base64')}` : Buffer.concat([Buffer.from([channel]), data]), () => resolve())
  })
  const targets = ports.map((port, i) => {
    const number = Buffer.alloc(2)
    number.writeUInt16LE(port)
    void send(2 * i, number)
    void send(2 * i + 1, number)
    const fail = (error: unknown): undefined => {
      log.debug('port-forward failed', { port, error: asError(error) })
      void send(2 * i + 1, Buffer.from(`error forwarding port ${port}: ${asError(error).message}`))
    }
    return dial(port).then((target) => relay(target, (data) => send(2 * i, data), fail), fail)
  })
  // Once no port is left, there is nothing to wait for.
  let open = ports.length
  for (const target of targets) {
    void target.then((connection) => {
      const done = () => { if (--open === 0) socket.close(1000) }
      if (!connection) return done()
      connection.once('close', done)
      if (socket.readyState !== socket.OPEN) connection.destroy()
      socket.once('close', () => connection.destroy())
    })
  }
  /** In order, and none before its connection stands. */
  let turn: Promise<void> = Promise.resolve()
  socket.on('message', (raw, isBinary) => {
    const bytes = Array.isArray(raw) ? Buffer.concat(raw) : Buffer.isBuffer(raw) ? raw : Buffer.from(raw)
    const channel = isBase64 && !isBinary ? (bytes[0] ?? 0) - 0x30 : (bytes[0] ?? 0)
    const data = isBase64 && !isBinary ? Buffer.from(bytes.toString('latin1', 1), 'base64') : bytes.subarray(1)
    const target = channel % 2 === 0 ? targets[channel / 2] : undefined
    if (!target || data.length === 0) return
    socket.pause()
    turn = turn.then(() => target).then((connection) => written(connection, data)).then(() => { socket.resume() })
  })
}

/** What comes from the port goes out, one piece at a time. */
function relay(target: Duplex, send: (data: Buffer) => Promise<void>, fail: (error: unknown) => void): Duplex {
  target.on('data', (data: Buffer) => {
    target.pause()
    void send(data).then(() => target.resume())
  })
  target.on('error', fail)
  return target
}

function written(target: Duplex | undefined, data: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (!target || target.destroyed || target.writableEnded) resolve()
    else target.write(data, () => resolve())
  })
}
