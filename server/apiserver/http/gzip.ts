/**
 * Compressed answers out of pieces that are compressed once. The buffers a list is made of outlive the answer (list-bytes.ts),
 * and what they were compressed to lives as long as they do: who lists again costs a checksum and no compression.
 *
 * One member (RFC 1952): each piece is a deflate stream of its own that ends on a byte (RFC 1951 section 3.2.4: an empty stored
 * block, as zlib's Z_SYNC_FLUSH leaves it) and refers to nothing before it, so pieces follow one another in any answer.
 */
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { promisify } from 'node:util'
import { constants, crc32, deflateRaw } from 'node:zlib'

/** Compressed by itself and remembered; what is smaller goes together with its neighbours. */
const PIECE_BYTES_MIN = 64 * 1024
/** A level beyond saves little and takes long; upstream's is the same. */
const LEVEL = 1

/** No name, no time, any system (RFC 1952 section 2.3). */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff])
/** An empty block of fixed codes that is the last. */
const LAST_BLOCK = [0x03, 0x00]

const deflate = promisify<Buffer, object, Buffer>(deflateRaw)
const deflated = new WeakMap<Buffer, Promise<Buffer>>()

/** Writes the chunks as one gzip member and ends; compresses no further than the other side reads. */
export async function writeGzipped(target: Writable, chunks: readonly Buffer[]): Promise<void> {
  for await (const part of gzipParts(chunks)) {
    if (target.destroyed) return
    if (!target.write(part)) await drained(target)
  }
  target.end()
}

async function* gzipParts(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield HEADER
  let checksum = 0
  let bytes = 0
  for (const piece of pieces(chunks)) {
    checksum = crc32(piece, checksum)
    bytes += piece.length
    yield await compressed(piece)
  }
  const end = Buffer.alloc(LAST_BLOCK.length + 8)
  end.set(LAST_BLOCK)
  end.writeUInt32LE(checksum, LAST_BLOCK.length)
  end.writeUInt32LE(bytes % 2 ** 32, LAST_BLOCK.length + 4)
  yield end
}

/** Large chunks as they are, for they may come again; runs of small ones in one. */
function* pieces(chunks: readonly Buffer[]): Generator<Buffer> {
  let run: Buffer[] = []
  let size = 0
  for (const chunk of chunks) {
    if (chunk.length < PIECE_BYTES_MIN) {
      run.push(chunk)
      size += chunk.length
    }
    if (size > 0 && (chunk.length >= PIECE_BYTES_MIN || size >= PIECE_BYTES_MIN)) {
      yield Buffer.concat(run, size)
      run = []
      size = 0
    }
    if (chunk.length >= PIECE_BYTES_MIN) yield chunk
  }
  if (size > 0) yield Buffer.concat(run, size)
}

function compressed(piece: Buffer): Promise<Buffer> {
  let known = deflated.get(piece)
  if (!known) {
    known = deflate(piece, { level: LEVEL, finishFlush: constants.Z_SYNC_FLUSH })
    known.catch(() => { deflated.delete(piece) })
    deflated.set(piece, known)
  }
  return known
}

async function drained(target: Writable): Promise<void> {
  const stop = new AbortController()
  await Promise.race([once(target, 'drain', { signal: stop.signal }), once(target, 'close', { signal: stop.signal })]).finally(() => stop.abort())
}
