/**
 * Snapshots as a byte stream: magic, format version, revision, then records, each guarded by a CRC-32, ended by a
 * record count. Shared by the embedded implementations so that one can restore what another saved.
 */
import { crc32 } from 'node:zlib'
import { CodedError } from '#base/errors.ts'
import type { KeyValue, Revision } from './store.ts'

const MAGIC = Buffer.from('SKIFFSNP')
const FORMAT = 1
const HEADER_BYTES = MAGIC.length + 4 + 8
/** A record longer than this is not ours: bounds what a damaged length can make us allocate. */
const RECORD_BYTES_MAX = 64 * 1024 * 1024

export async function* writeSnapshot(revision: Revision, items: AsyncIterable<KeyValue>): AsyncGenerator<Buffer> {
  const header = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(header)
  header.writeUInt32BE(FORMAT, MAGIC.length)
  header.writeBigUInt64BE(BigInt(revision), MAGIC.length + 4)
  yield header
  let count = 0
  for await (const item of items) {
    count++
    yield frame(encodeRecord(item))
  }
  const end = Buffer.alloc(8)
  end.writeBigUInt64BE(BigInt(count))
  yield frame(Buffer.concat([Buffer.from([0xff]), end]))
}

/** Yields the revision first, then each item; throws `STORE_CORRUPT` before yielding anything that is damaged. */
export async function* readSnapshot(chunks: AsyncIterable<Buffer>): AsyncGenerator<{ revision: Revision } | { item: KeyValue }> {
  const reader = new ChunkReader(chunks)
  const header = await reader.take(HEADER_BYTES)
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) throw corrupt('it does not start like a snapshot')
  const format = header.readUInt32BE(MAGIC.length)
  if (format !== FORMAT) throw new CodedError('STORE_FORMAT', `the snapshot has format ${format}, this skiff reads ${FORMAT}: use the release that wrote it`)
  yield { revision: Number(header.readBigUInt64BE(MAGIC.length + 4)) }
  for (let count = 0; ; count++) {
    const prefix = await reader.take(8)
    const length = prefix.readUInt32BE(0)
    if (length > RECORD_BYTES_MAX) throw corrupt(`record ${count} claims ${length} bytes`)
    const body = await reader.take(length)
    if (crc32(body) !== prefix.readUInt32BE(4)) throw corrupt(`record ${count} fails its checksum`)
    if (body[0] === 0xff) {
      if (Number(body.readBigUInt64BE(1)) !== count) throw corrupt(`it holds ${count} records, not what its end says`)
      return
    }
    yield { item: decodeRecord(body) }
  }
}

function frame(body: Buffer): Buffer {
  const prefix = Buffer.alloc(8)
  prefix.writeUInt32BE(body.length, 0)
  prefix.writeUInt32BE(crc32(body), 4)
  return Buffer.concat([prefix, body])
}

function encodeRecord(item: KeyValue): Buffer {
  const key = Buffer.from(item.key)
  const head = Buffer.alloc(1 + 24 + 4)
  head.writeBigUInt64BE(BigInt(item.createRevision), 1)
  head.writeBigUInt64BE(BigInt(item.modRevision), 9)
  head.writeBigUInt64BE(BigInt(item.version), 17)
  head.writeUInt32BE(key.length, 25)
  return Buffer.concat([head, key, item.value])
}

function decodeRecord(body: Buffer): KeyValue {
  const keyEnd = 29 + body.readUInt32BE(25)
  return {
    key: body.toString('utf8', 29, keyEnd),
    value: Buffer.from(body.subarray(keyEnd)),
    createRevision: Number(body.readBigUInt64BE(1)),
    modRevision: Number(body.readBigUInt64BE(9)),
    version: Number(body.readBigUInt64BE(17)),
  }
}

/** Takes exact counts of bytes off a stream. */
export class ChunkReader {
  readonly #iterator: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)
  constructor(chunks: AsyncIterable<Buffer>) {
    this.#iterator = chunks[Symbol.asyncIterator]()
  }

  async take(count: number): Promise<Buffer> {
    const parts: Buffer[] = [this.#rest]
    let have = this.#rest.length
    while (have < count) {
      const next = await this.#iterator.next()
      if (next.done) throw corrupt('it ends too early')
      parts.push(next.value)
      have += next.value.length
    }
    const all = parts.length === 1 ? this.#rest : Buffer.concat(parts)
    this.#rest = all.subarray(count)
    return all.subarray(0, count)
  }

  /** All that was not taken. */
  async *rest(): AsyncGenerator<Buffer> {
    if (this.#rest.length > 0) yield this.#rest
    for (let next = await this.#iterator.next(); !next.done; next = await this.#iterator.next()) yield next.value
  }
}

function corrupt(what: string): CodedError {
  return new CodedError('STORE_CORRUPT', `the snapshot is damaged: ${what}`)
}
