/**
 * exec and attach over SPDY/3.1, for kubectl before 1.31 and CRI clients: the client opens one stream per channel,
 * each with a `streamtype` header (cri-streaming, `remotecommand` v1 to v5).
 */
import type { Duplex } from 'node:stream'
import type { Clock } from '#base/clock.ts'
import { CodedError } from '#base/errors.ts'
import type { ClientChannels, StreamFlags } from './channels.ts'
import { parseSize } from './exec-websocket.ts'
import type { TerminalSize } from '../runtime.ts'
import { SpdySession, type SpdyStream } from './spdy/session.ts'

export const EXEC_SPDY_PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io', 'channel.k8s.io'] as const

/** Upstream's DefaultStreamCreationTimeout. */
const STREAMS_WAIT_MS = 30_000
/** Longest resize message worth reading. */
const SIZE_BYTES_MAX = 1_024

/** Resolves when the client has opened all the streams that its request promised. */
export async function spdyChannels(connection: Duplex, protocol: string, flags: StreamFlags, clock: Clock): Promise<ClientChannels> {
  const hasStatus = protocol.startsWith('v4') || protocol.startsWith('v5')
  const hasResize = flags.tty && !['v2.channel.k8s.io', 'channel.k8s.io'].includes(protocol)
  const wanted = new Set(['error', ...(flags.stdin ? ['stdin'] : []), ...(flags.stdout ? ['stdout'] : []), ...(flags.stderr ? ['stderr'] : []), ...(hasResize ? ['resize'] : [])])
  const streams = new Map<string, SpdyStream>()
  const gone: (() => void)[] = []
  const complete = Promise.withResolvers<void>()
  const session = new SpdySession(connection, {
    onStream(stream) {
      const type = stream.headers['streamtype'] ?? ''
      if (!wanted.has(type) || streams.has(type)) {
        stream.destroy()
        return
      }
      streams.set(type, stream)
      if (streams.size === wanted.size) complete.resolve()
    },
    onClose() {
      complete.reject(new CodedError('SPDY_CLOSED', 'the client went away before it opened its streams'))
      for (const listener of gone) listener()
    },
  })
  const cancel = clock.after(STREAMS_WAIT_MS, () => session.close(new CodedError('SPDY_TIMEOUT', `the client did not open ${[...wanted].join(', ')} within ${STREAMS_WAIT_MS / 1000} s`)))
  try {
    await complete.promise
  } finally {
    cancel()
  }
  const error = streams.get('error')
  error?.resume()

  return {
    stdin: streams.get('stdin'),
    stdout: streams.get('stdout'),
    stderr: streams.get('stderr'),
    onResize: (listener) => readSizes(streams.get('resize'), listener),
    onGone: (listener) => void gone.push(listener),
    async finish(status) {
      const failed = (status as { status?: string }).status !== 'Success'
      if (hasStatus) error?.end(JSON.stringify(status))
      else if (failed) error?.end((status as { message?: string }).message ?? 'error')
      else error?.end()
      await Promise.all([...streams.values()].map((s) => new Promise<void>((resolve) => { if (s.destroyed) resolve(); else s.end(() => resolve()) })))
      session.close()
    },
  }
}

/** JSON values one after the other, as Go's encoder writes them: each ends with a newline. */
function readSizes(stream: SpdyStream | undefined, listener: (size: TerminalSize) => void): void {
  let rest = ''
  stream?.on('data', (chunk: Buffer) => {
    rest += chunk.toString()
    const lines = rest.split('\n')
    rest = (lines.pop() ?? '').slice(0, SIZE_BYTES_MAX)
    for (const line of lines) {
      const size = parseSize(Buffer.from(line))
      if (size) listener(size)
    }
  })
}
