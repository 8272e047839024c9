/** The client's end of CRI streaming: the URL that Exec, Attach or PortForward gave, over SPDY/3.1. */
import { request as httpRequest } from 'node:http'
import { Duplex, type Readable } from 'node:stream'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import type { IoSession } from '../runtime.ts'
import { PORT_FORWARD_PROTOCOL } from './port-forward.ts'
import { SpdySession, type SpdyStream } from './spdy/session.ts'

/** A runtime's streaming server is on this machine. */
const CONNECT_MS_MAX = 10_000
/** Longest answer worth reading when an upgrade is refused, and longest final status. */
const TEXT_BYTES_MAX = 64 * 1024

/** Rejects with CRI_FAILED when the server does not take the upgrade. */
async function connect(url: string, protocol: string, clock: Clock): Promise<{ session: SpdySession; closed: Promise<Error | undefined> }> {
  const socket = await new Promise<Duplex>((resolve, reject) => {
    const request = httpRequest(url, { method: 'POST', agent: false, headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': protocol } })
    const cancel = clock.after(CONNECT_MS_MAX, () => request.destroy(new Error(`no answer within ${CONNECT_MS_MAX} ms`)))
    const fail = (error: Error) => {
      cancel()
      reject(new CodedError('CRI_FAILED', `cannot reach the runtime's streaming server: ${error.message}`, { cause: error }))
    }
    request.on('error', fail)
    request.on('upgrade', (_, upgraded, head) => {
      cancel()
      if (head.length > 0) upgraded.unshift(head)
      resolve(upgraded)
    })
    request.on('response', (response) => {
      textOf(response).then((text) => fail(new Error(`HTTP status ${response.statusCode}: ${text.trim()}`)), fail)
    })
    request.end()
  })
  const closed = Promise.withResolvers<Error | undefined>()
  const session = new SpdySession(socket, { isClient: true, onStream: (stream) => stream.destroy(), onClose: (error) => closed.resolve(error) })
  return { session, closed: closed.promise }
}

/** The connection may be lost between one stream and the next. */
async function opened(session: SpdySession, headers: Readonly<Record<string, string>>): Promise<SpdyStream> {
  try {
    return await session.open(headers)
  } catch (error) {
    session.close()
    throw new CodedError('CRI_FAILED', `the connection to the runtime's streaming server was lost: ${asError(error).message}`, { cause: error })
  }
}

export async function execOverSpdy(url: string, options: { stdin: boolean; tty: boolean }, clock: Clock): Promise<IoSession> {
  const { session, closed } = await connect(url, 'v4.channel.k8s.io', clock)
  // Upstream's clients open them in this order, and the server waits for all.
  const error = await opened(session, { streamtype: 'error' })
  const stdin = options.stdin ? await opened(session, { streamtype: 'stdin' }) : undefined
  const stdout = await opened(session, { streamtype: 'stdout' })
  const stderr = options.tty ? undefined : await opened(session, { streamtype: 'stderr' })
  const resize = options.tty ? await opened(session, { streamtype: 'resize' }) : undefined
  for (const stream of [error, stdin, stdout, stderr, resize]) stream?.on('error', () => { /* the session's end tells */ })
  // Nothing is sent on these. Said at once: at their end the server may be gone, and a write that fails would take what is still to be read with it.
  for (const stream of [error, stdout, stderr]) stream?.end()
  // Nothing comes back on these; reading them lets their end be noticed.
  stdin?.resume()
  resize?.resume()
  const outputs = Promise.all([stdout, stderr].flatMap((s) => (s ? [ended(s)] : [])))
  const done = (async () => {
    const status = await textOf(error)
    const failure = status === '' ? await Promise.race([outputs.then(() => undefined), closed]) : undefined
    if (failure) throw new CodedError('CRI_FAILED', `the connection to the runtime's streaming server was lost: ${failure.message}`, { cause: failure })
    return exitCodeOf(status)
  })().finally(() => { void outputs.then(() => session.close()) })
  done.catch(() => { /* told to whoever waits for it */ })
  return {
    stdin, stdout, stderr, done,
    resize({ width, height }) {
      if (resize?.writable) resize.write(`${JSON.stringify({ Width: width, Height: height })}\n`)
    },
    close: () => session.close(),
  }
}

/** Two streams, as one forwarded connection; the session ends with it. Rejects with CRI_FAILED when nothing listens. */
export async function portForwardOverSpdy(url: string, port: number, clock: Clock): Promise<Duplex> {
  const { session } = await connect(url, PORT_FORWARD_PROTOCOL, clock)
  const headers = { port: String(port), requestid: '0' }
  const errors = await opened(session, { streamtype: 'error', ...headers })
  errors.end()
  const data = await opened(session, { streamtype: 'data', ...headers })
  for (const stream of [errors, data]) stream.on('error', () => { /* the session's end tells */ })
  const refusal = textOf(errors)
  const connection = new Duplex({
    read: () => void data.resume(),
    write: (chunk: Buffer, _, callback) => void data.write(chunk, callback),
    final: (callback) => void data.end(() => callback()),
    destroy(error, callback) {
      session.close()
      callback(error)
    },
  })
  data.on('data', (chunk: Buffer) => { if (!connection.push(chunk)) data.pause() })
  // The end alone does not tell whether there ever was a connection: the other stream does, and ends with it.
  const ended = () => refusal.then((text) => {
    if (text === '') connection.push(null)
    else connection.destroy(new CodedError('CRI_FAILED', text))
  })
  data.once('end', () => { void ended() })
  data.once('close', () => { if (!data.readableEnded) void ended() })
  return connection
}

interface StatusText { status?: string; message?: string; reason?: string; details?: { causes?: { reason?: string; message?: string }[] } }

/** No status is success: protocols before v4, and attach. Throws CRI_FAILED for a failure that is not an exit code. */
function exitCodeOf(text: string): number {
  if (text.trim() === '') return 0
  let status: StatusText
  try {
    status = JSON.parse(text) as StatusText
  } catch {
    throw new CodedError('CRI_FAILED', text.trim()) // Plain words: of servers that know no Status.
  }
  if (status.status === 'Success') return 0
  const code = status.reason === 'NonZeroExitCode' ? Number(status.details?.causes?.find((c) => c.reason === 'ExitCode')?.message) : Number.NaN
  if (Number.isInteger(code)) return code
  throw new CodedError('CRI_FAILED', status.message ?? text)
}

function ended(stream: SpdyStream): Promise<void> {
  return new Promise((resolve) => { stream.once('end', resolve).once('close', resolve) })
}

function textOf(stream: Readable): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= TEXT_BYTES_MAX) chunks.push(chunk)
    })
    const finish = () => resolve(Buffer.concat(chunks).toString())
    stream.once('end', finish).once('close', finish).once('error', finish)
  })
}
