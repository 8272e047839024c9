/**
 * A snapshot as a file: a readable head, the store's own snapshot compressed by zstd, and a SHA-256 over all of it at the
 * very end, so that a file that was cut off, bent or changed is known before anything is done with it.
 *
 *   "SKIFFBAK" | format | head length | head (JSON) | zstd(store snapshot) | SHA-256 of all before it
 *
 * It holds Secrets: whoever writes one to a disk gives it to its owner alone (0600).
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { SealedFiles } from './sealed-files.ts'

const MAGIC = Buffer.from('SKIFFBAK')
export const SNAPSHOT_FORMAT = 1
const PREFIX_BYTES = MAGIC.length + 8
/** The head holds a dozen certificates and keys, sealed: more is not ours. */
const HEAD_BYTES_MAX = 4 * 1024 * 1024
const HASH_BYTES = 32
/** Records are gathered to pieces of this size before they are compressed: each piece is a trip to another thread. */
const PIECE_BYTES = 64 * 1024
const READ_BYTES = 256 * 1024

export interface SnapshotHead {
  /** Release that wrote it. */
  skiff: string
  kubernetes: string
  /** Of the server that wrote it. */
  node: string
  createdMs: number
  /** The newest revision of the store when it began. */
  revision: number
  /** SHA-256 of the cluster's server CA, as join tokens carry it: which cluster it is of. */
  cluster: string
  /** Authorities, keys and the like, sealed with the cluster's token. */
  files: SealedFiles
}

/** The file's bytes. `store`: what Store.snapshot gives. */
export async function* writeSnapshotFile(head: SnapshotHead, store: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  const text = Buffer.from(JSON.stringify(head))
  const prefix = Buffer.alloc(PREFIX_BYTES)
  MAGIC.copy(prefix)
  prefix.writeUInt32BE(SNAPSHOT_FORMAT, MAGIC.length)
  prefix.writeUInt32BE(text.length, MAGIC.length + 4)
  const start = Buffer.concat([prefix, text])
  hash.update(start)
  yield start
  for await (const chunk of compressed(store)) {
    hash.update(chunk)
    yield chunk
  }
  yield hash.digest()
}

/** Reads the whole file; rejects with `SNAPSHOT_DAMAGED` or `SNAPSHOT_FORMAT` before anybody relies on any of it. */
export async function checkSnapshotFile(path: string): Promise<SnapshotHead> {
  const { size } = await stat(path).catch(unreadable(path))
  if (size < PREFIX_BYTES + HASH_BYTES) throw damaged(path, size === 0 ? 'it is empty' : 'it is too short to be one')
  // A file of a newer format may have its checksum elsewhere: who wrote it is asked first.
  const { head } = await readHead(path)
  const hash = createHash('sha256')
  let seen = 0
  let tail: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES }) as AsyncIterable<Buffer>) {
    const fromBody = Math.max(0, Math.min(chunk.length, size - HASH_BYTES - seen))
    hash.update(chunk.subarray(0, fromBody))
    tail = Buffer.concat([tail, chunk.subarray(fromBody)])
    seen += chunk.length
  }
  if (seen !== size || !hash.digest().equals(tail)) throw damaged(path, 'its checksum does not fit: it was cut off or changed')
  return parseHead(head, path)
}

/** What the head says, without looking at the rest: for listings. */
export async function readSnapshotHead(path: string): Promise<SnapshotHead> {
  return parseHead((await readHead(path)).head, path)
}

/** The store's snapshot in a file that was checked. Rejects with `SNAPSHOT_DAMAGED`. */
export async function* readSnapshotBody(path: string): AsyncGenerator<Buffer> {
  const { size } = await stat(path)
  const { bodyAt } = await readHead(path)
  const { createZstdDecompress } = await import('node:zlib')
  const unpack = createZstdDecompress()
  const feeding = pipeline(createReadStream(path, { start: bodyAt, end: size - HASH_BYTES - 1, highWaterMark: READ_BYTES }), unpack)
  feeding.catch(() => { /* told by the reading side */ })
  try {
    for await (const chunk of unpack as AsyncIterable<Buffer>) yield chunk
  } catch (error) {
    throw damaged(path, asError(error).message)
  }
}

async function readHead(path: string): Promise<{ head: Buffer; bodyAt: number }> {
  const file = await open(path, 'r').catch(unreadable(path))
  try {
    const prefix = Buffer.alloc(PREFIX_BYTES)
    const { bytesRead } = await file.read(prefix, 0, PREFIX_BYTES, 0)
    if (bytesRead < PREFIX_BYTES || !prefix.subarray(0, MAGIC.length).equals(MAGIC)) throw damaged(path, 'it does not start like one')
    const format = prefix.readUInt32BE(MAGIC.length)
    if (format > SNAPSHOT_FORMAT) throw new CodedError('SNAPSHOT_FORMAT', `the snapshot ${path} has format ${format}, this skiff reads up to ${SNAPSHOT_FORMAT}: use the release that wrote it, or a newer one`)
    const length = prefix.readUInt32BE(MAGIC.length + 4)
    if (length > HEAD_BYTES_MAX) throw damaged(path, `its head claims ${length} bytes`)
    const head = Buffer.alloc(length)
    if ((await file.read(head, 0, length, PREFIX_BYTES)).bytesRead < length) throw damaged(path, 'it ends within its head')
    return { head, bodyAt: PREFIX_BYTES + length }
  } finally {
    await file.close()
  }
}

function parseHead(head: Buffer, path: string): SnapshotHead {
  try {
    return JSON.parse(head.toString()) as SnapshotHead
  } catch {
    throw damaged(path, 'its head cannot be read')
  }
}

async function* compressed(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const { createZstdCompress } = await import('node:zlib')
  const pack = createZstdCompress()
  const feeding = pipeline(gathered(source), pack)
  feeding.catch(() => { /* told by the reading side */ })
  for await (const chunk of pack as AsyncIterable<Buffer>) yield chunk
  await feeding
}

async function* gathered(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = []
  let size = 0
  for await (const part of source) {
    parts.push(part)
    size += part.length
    if (size < PIECE_BYTES) continue
    yield Buffer.concat(parts)
    parts = []
    size = 0
  }
  if (size > 0) yield Buffer.concat(parts)
}

const damaged = (path: string, what: string): CodedError => new CodedError('SNAPSHOT_DAMAGED', `the snapshot ${path} is damaged or none: ${what}: take another one; skiff snapshot list shows them`)

const unreadable = (path: string) => (error: unknown): never => {
  throw new CodedError('SNAPSHOT_UNREADABLE', hasCode(error, 'ENOENT') ? `there is no snapshot ${path}; skiff snapshot list shows them` : `the snapshot ${path} cannot be read: ${asError(error).message}`, { cause: error })
}
