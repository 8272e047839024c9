/**
 * SPDY/3 header blocks: name/value pairs, compressed in one zlib stream per direction that lives as long as the
 * session. Names are lower case.
 */
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib'
import { CodedError } from '#base/errors.ts'
import { SPDY_DICTIONARY } from './dictionary.ts'

export type SpdyHeaders = Readonly<Record<string, string>>

/** More than any client sends; bounds what a small compressed block can blow up to. */
const BLOCK_BYTES_MAX = 256 * 1024
const HEADERS_MAX = 256

export function encodePairs(headers: SpdyHeaders): Buffer {
  const parts: Buffer[] = [length(Object.keys(headers).length)]
  for (const [name, value] of Object.entries(headers)) {
    const [n, v] = [Buffer.from(name.toLowerCase(), 'latin1'), Buffer.from(value, 'latin1')]
    parts.push(length(n.length), n, length(v.length), v)
  }
  return Buffer.concat(parts)
}

export function decodePairs(block: Buffer): SpdyHeaders {
  let at = 0
  const number = () => {
    if (at + 4 > block.length) throw bad('it ends early')
    at += 4
    return block.readUInt32BE(at - 4)
  }
  const text = () => {
    const end = number() + at
    if (end > block.length) throw bad('a text is longer than the block')
    const value = block.toString('latin1', at, end)
    at = end
    return value
  }
  const count = number()
  if (count > HEADERS_MAX) throw bad(`it claims ${count} headers`)
  const headers: Record<string, string> = {}
  for (let i = 0; i < count; i++) {
    const name = text()
    headers[name] = text()
  }
  return headers
}

export class HeaderCodec {
  readonly #deflate: Deflate = createDeflate({ dictionary: SPDY_DICTIONARY })
  readonly #inflate: Inflate = createInflate({ dictionary: SPDY_DICTIONARY })

  /** Calls of one session must not overlap: the compressor has a memory. */
  compress(headers: SpdyHeaders): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const onError = (error: Error) => reject(error)
      this.#deflate.once('error', onError)
      this.#deflate.write(encodePairs(headers))
      this.#deflate.flush(constants.Z_SYNC_FLUSH, () => {
        this.#deflate.off('error', onError)
        resolve(drain(this.#deflate))
      })
    })
  }

  decompress(block: Buffer): Promise<SpdyHeaders> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      let size = 0
      const onData = (chunk: Buffer) => {
        size += chunk.length
        if (size > BLOCK_BYTES_MAX) this.#inflate.destroy(bad(`it unpacks to more than ${BLOCK_BYTES_MAX} bytes`))
        else chunks.push(chunk)
      }
      const settle = (error?: Error | null) => {
        this.#inflate.off('data', onData)
        this.#inflate.off('error', settle)
        if (error) return reject(error)
        try {
          resolve(decodePairs(Buffer.concat(chunks)))
        } catch (problem) {
          reject(problem instanceof Error ? problem : bad('it cannot be read'))
        }
      }
      this.#inflate.on('data', onData)
      this.#inflate.on('error', settle)
      this.#inflate.write(block, (error) => {
        // What was unpacked is handed on before the next turn of the event loop.
        setImmediate(() => settle(error))
      })
    })
  }

  close(): void {
    this.#deflate.close()
    this.#inflate.close()
  }
}

function drain(stream: Deflate): Buffer {
  const chunks: Buffer[] = []
  for (let chunk = stream.read() as Buffer | null; chunk !== null; chunk = stream.read() as Buffer | null) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function length(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeUInt32BE(value)
  return out
}

function bad(what: string): CodedError {
  return new CodedError('SPDY_PROTOCOL', `a SPDY header block is malformed: ${what}`)
}
