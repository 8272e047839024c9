/** The two ways to read a response's body: all of it, or line by line as it comes. */
import { CodedError } from '#base/errors.ts'
import { isBodyStream, type ApiResponse, type BodyStream } from './transport.ts'

/** A whole answer larger than this is not read: LIST of everything on a big cluster stays below it when paged. */
export const BODY_BYTES_MAX = 512 * 1024 * 1024
/** One watch event: an object of 3 MiB (the request limit) with room for what the server adds. */
export const LINE_BYTES_MAX = 8 * 1024 * 1024
/** A reader this far behind makes the producer wait. */
const BUFFERED_BYTES_MAX = 256 * 1024

/** The whole body. Rejects with `BODY_TOO_LARGE` beyond `bytesMax`, or with what the producer failed with. */
export function collect(body: ApiResponse['body'], bytesMax = BODY_BYTES_MAX): Promise<Buffer> {
  if (Buffer.isBuffer(body)) return Promise.resolve(body)
  if (!isBodyStream(body)) return Promise.resolve(Buffer.concat(body))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    let failed = false
    body.start({
      write(chunk) {
        size += chunk.length
        if (size > bytesMax && !failed) {
          failed = true
          chunks.length = 0
          reject(new CodedError('BODY_TOO_LARGE', `the answer is larger than ${bytesMax} bytes`))
        }
        if (!failed) chunks.push(chunk)
        return true
      },
      onDrain() { /* Never full: write always answers true. */ },
      end: () => resolve(Buffer.concat(chunks)),
      fail: reject,
    })
  })
}

/** Chunks as they come; the producer waits while the reader is more than BUFFERED_BYTES_MAX behind. Throws what the producer fails with; ends when `signal` aborts. */
export async function* chunks(body: ApiResponse['body'], signal?: AbortSignal): AsyncGenerator<Buffer, void> {
  if (Buffer.isBuffer(body)) { yield body; return }
  if (!isBodyStream(body)) { yield* body; return }
  yield* pulled(body, signal)
}

async function* pulled(body: BodyStream, signal: AbortSignal | undefined): AsyncGenerator<Buffer, void> {
  const ready: Buffer[] = []
  let bytes = 0
  let ended = false
  let failure: Error | undefined
  let isFull = false
  let drain: (() => void) | undefined
  let wake: (() => void) | undefined
  const wakeReader = () => {
    const fn = wake
    wake = undefined
    fn?.()
  }
  // A producer that stops because of the signal need not say so.
  signal?.addEventListener('abort', wakeReader, { once: true })
  body.start({
    write(chunk) {
      ready.push(chunk)
      bytes += chunk.length
      isFull = bytes >= BUFFERED_BYTES_MAX
      wakeReader()
      return !isFull
    },
    onDrain(fn) {
      drain = fn
      wakeReader()
    },
    end() { ended = true; wakeReader() },
    fail(error) { failure = error; wakeReader() },
  })
  for (;;) {
    while (ready.length > 0) {
      const batch = ready.splice(0)
      bytes = 0
      yield batch.length === 1 ? (batch[0] as Buffer) : Buffer.concat(batch)
    }
    if (failure) throw failure
    if (ended || signal?.aborted) return
    // Each time: a producer says once what is to be done then.
    if (isFull && drain) {
      isFull = false
      drain()
      continue
    }
    await new Promise<void>((resolve) => { wake = resolve })
  }
}

/** Lines without their newline; empty ones are left out. Throws `LINE_TOO_LONG` beyond `bytesMax`; ends when `signal` aborts. */
export async function* lines(body: ApiResponse['body'], signal?: AbortSignal, bytesMax = LINE_BYTES_MAX): AsyncGenerator<Buffer, void> {
  let rest: Buffer[] = []
  let restBytes = 0
  for await (const chunk of chunks(body, signal)) {
    let from = 0
    for (;;) {
      const at = chunk.indexOf(10, from)
      if (at < 0) break
      const piece = chunk.subarray(from, at)
      from = at + 1
      const line = rest.length > 0 ? Buffer.concat([...rest, piece]) : piece
      rest = []
      restBytes = 0
      if (line.length > 0) yield line
    }
    if (from < chunk.length) {
      rest.push(chunk.subarray(from))
      restBytes += chunk.length - from
      if (restBytes > bytesMax) throw new CodedError('LINE_TOO_LONG', `one line of the answer is longer than ${bytesMax} bytes`)
    }
  }
  if (rest.length > 0) yield Buffer.concat(rest)
}
