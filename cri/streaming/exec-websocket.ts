/**
 * exec and attach over WebSocket: `v5.channel.k8s.io` and its forerunners (KEP-4006; apimachinery `httpstream/wsstream`,
 * `remotecommand`). Each message starts with its channel: 0 stdin, 1 stdout, 2 stderr, 3 error, 4 resize; in v5, 255
 * closes the channel named by the next byte.
 */
import { PassThrough, Writable } from 'node:stream'
import type { WebSocket } from 'ws'
import type { ClientChannels, StreamFlags } from './channels.ts'
import type { TerminalSize } from '../runtime.ts'

const STDIN = 0
const STDOUT = 1
const STDERR = 2
const ERROR = 3
const RESIZE = 4
const CLOSE = 255

/** In the order of our preference. */
export const EXEC_PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io', 'channel.k8s.io', 'v4.base64.channel.k8s.io', 'base64.channel.k8s.io'] as const

export function webSocketChannels(socket: WebSocket, protocol: string, flags: StreamFlags): ClientChannels {
  const isBase64 = protocol.includes('base64')
  const hasStatus = protocol.startsWith('v4') || protocol.startsWith('v5')
  const stdin = flags.stdin ? new PassThrough() : undefined
  const resizeListeners: ((size: TerminalSize) => void)[] = []
  let lastSize: TerminalSize | undefined

  const send = (channel: number, data: Buffer): Promise<void> => new Promise((resolve) => {
    if (socket.readyState !== socket.OPEN) return resolve()
    const message = isBase64 ? `${channel}${data.toString('base64')}` : Buffer.concat([Buffer.from([channel]), data])
    // Resolves when the bytes are with the kernel: that is the back-pressure.
    socket.send(message, () => resolve())
  })
  const channel = (id: number): Writable => new Writable({
    highWaterMark: 64 * 1024,
    write(chunk: Buffer, _encoding, done) { void send(id, chunk).then(() => done()) },
  })

  socket.on('message', (raw, isBinary) => {
    const bytes = Array.isArray(raw) ? Buffer.concat(raw) : Buffer.isBuffer(raw) ? raw : Buffer.from(raw)
    const message = isBase64 && !isBinary ? Buffer.concat([Buffer.from([(bytes[0] ?? 0x30) - 0x30]), Buffer.from(bytes.toString('latin1', 1), 'base64')]) : bytes
    const data = message.subarray(1)
    switch (message[0]) {
      case STDIN:
        if (stdin && !stdin.writableEnded && !stdin.write(data)) {
          socket.pause()
          stdin.once('drain', () => socket.resume())
        }
        break
      case RESIZE: {
        const size = parseSize(data)
        if (!size) break
        lastSize = size
        for (const listener of resizeListeners) listener(size)
        break
      }
      case CLOSE:
        if (data[0] === STDIN) stdin?.end()
        break
      default:
        break
    }
  })
  socket.on('close', () => stdin?.end())

  // Upstream's servers say hello on the lowest channel they write, so that the client knows the connection is up.
  void send(flags.stdout ? STDOUT : flags.stderr ? STDERR : ERROR, Buffer.alloc(0))

  return {
    stdin,
    stdout: flags.stdout ? channel(STDOUT) : undefined,
    stderr: flags.stderr ? channel(STDERR) : undefined,
    onResize: (listener) => {
      resizeListeners.push(listener)
      if (lastSize) listener(lastSize)
    },
    onGone: (listener) => void socket.on('close', listener),
    async finish(status) {
      const failed = (status as { status?: string; message?: string }).status !== 'Success'
      if (hasStatus) await send(ERROR, Buffer.from(JSON.stringify(status)))
      else if (failed) await send(ERROR, Buffer.from((status as { message?: string }).message ?? 'error'))
      socket.close(1000)
    },
  }
}

/** Upstream writes Width and Height with capitals. */
export function parseSize(data: Buffer): TerminalSize | undefined {
  try {
    const { Width, Height } = JSON.parse(data.toString()) as { Width?: unknown; Height?: unknown }
    const ok = (n: unknown): n is number => Number.isInteger(n) && (n as number) >= 0 && (n as number) <= 65_535
    return ok(Width) && ok(Height) ? { width: Width, height: Height } : undefined
  } catch {
    return undefined // Not JSON: upstream ignores it too.
  }
}
