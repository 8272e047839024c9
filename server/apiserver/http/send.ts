/** What HTTP/1.1 and HTTP/2 adapters share: bounded bodies, who gets compressed answers, writing big ones with back-pressure. */
import type { Readable, Writable } from 'node:stream'
import type { ApiResponse } from '#api/client/transport.ts'
import { isBodyStream } from '#api/client/transport.ts'

/** Upstream compresses answers beyond this. */
export const GZIP_BYTES_MIN = 128 * 1024
/** Answers below this are joined: one write, one TLS record or a few. */
const JOIN_BYTES_MAX = 64 * 1024

export type Body =
  /** `release`: nobody needs the bytes any more. */
  | { kind: 'whole'; bytes: Buffer; release: () => void }
  | { kind: 'too-large' }
  /** Too many others are being received. */
  | { kind: 'no-room' }
  | { kind: 'gone' }

/** Bytes of bodies in memory at once, over all connections: they are there before anyone is asked who he is. */
export class BodyRoom {
  #left: number
  constructor(bytesMax: number) { this.#left = bytesMax }

  take(bytes: number): boolean {
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }

  give(bytes: number): void { this.#left += bytes }
}

/** Reads at most `bytesMax`; stops reading beyond. */
export function readBody(source: Readable, bytesMax: number, declared: number | undefined, room: BodyRoom): Promise<Body> {
  if (declared !== undefined && declared > bytesMax) return Promise.resolve({ kind: 'too-large' })
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    let taken = 0
    const release = (): void => {
      room.give(taken)
      taken = 0
    }
    const refuse = (kind: 'too-large' | 'no-room' | 'gone'): void => {
      if (kind !== 'gone') source.pause()
      release()
      resolve({ kind })
    }
    source.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > bytesMax) return refuse('too-large')
      if (!room.take(chunk.length)) return refuse('no-room')
      taken += chunk.length
      chunks.push(chunk)
      return undefined
    })
    let isWhole = false
    source.on('end', () => {
      isWhole = true
      resolve({ kind: 'whole', bytes: chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size), release })
    })
    source.on('error', () => { if (!isWhole) refuse('gone') })
    source.on('close', () => { if (!isWhole) refuse('gone') })
  })
}

export interface Sized { chunks: readonly Buffer[]; bytes: number }

/** The parts of an answer that is no stream; small ones in one piece. */
export function sized(body: Buffer | readonly Buffer[]): Sized {
  if (Buffer.isBuffer(body)) return { chunks: [body], bytes: body.length }
  const bytes = body.reduce((n, b) => n + b.length, 0)
  return bytes <= JOIN_BYTES_MAX ? { chunks: [Buffer.concat(body, bytes)], bytes } : { chunks: body, bytes }
}

export function wantsGzip(method: string, acceptEncoding: string | undefined, response: ApiResponse): boolean {
  if (method !== 'GET' || acceptEncoding === undefined || isBodyStream(response.body) || response.headers['content-encoding'] !== undefined) return false
  return /(?:^|,)\s*gzip\s*(?:,|;(?!\s*q=0(?:\.0*)?\s*(?:,|$))|$)/.test(acceptEncoding) && sized(response.body).bytes > GZIP_BYTES_MIN
}

/** Writes all chunks and ends; waits whenever the other side is slower. */
export function writeAll(target: Writable, chunks: readonly Buffer[], at = 0): void {
  for (let i = at; i < chunks.length; i++) {
    const chunk = chunks[i] as Buffer
    if (i === chunks.length - 1) {
      target.end(chunk)
      return
    }
    if (!target.write(chunk)) {
      target.once('drain', () => writeAll(target, chunks, i + 1))
      return
    }
  }
  target.end()
}
