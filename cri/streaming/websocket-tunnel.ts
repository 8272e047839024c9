/** A WebSocket as a byte stream: each binary message is a piece of it (KEP-4006, tunnelling). */
import { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'

export function webSocketDuplex(socket: WebSocket): Duplex {
  const duplex = new Duplex({
    read: () => socket.resume(),
    write(chunk: Buffer, _encoding, done) {
      if (socket.readyState !== socket.OPEN) return done(new Error('the client is gone'))
      socket.send(chunk, (error) => done(error ?? null))
    },
    final(done) {
      socket.close(1000)
      done()
    },
    destroy(error, done) {
      socket.terminate()
      done(error)
    },
  })
  socket.on('message', (raw) => {
    const bytes = Array.isArray(raw) ? Buffer.concat(raw) : Buffer.isBuffer(raw) ? raw : Buffer.from(raw)
    if (!duplex.push(bytes)) socket.pause()
  })
  socket.on('close', () => duplex.push(null))
  socket.on('error', (error) => duplex.destroy(error))
  return duplex
}
