/**
 * A state as members send it to each other: where it stands, then the items as in any snapshot of a store. The same
 * state of the same index has the same bytes everywhere.
 */
import { crc32 } from 'node:zlib'
import { CodedError } from '#base/errors.ts'
import { ChunkReader, readSnapshot, writeSnapshot } from '#server/store/snapshot-format.ts'
import type { KeyValue } from '#server/store/store.ts'
import type { LogBase } from '../../raft/types.ts'
import { decodePosition, encodePosition, type Position } from './state-database.ts'

const MAGIC = Buffer.from('SKIFFSTATE')
/** Part of a snapshot's id: members whose formats differ never mix their bytes. */
const FORMAT = 1
const POSITION_BYTES = 24
const HEAD_BYTES = MAGIC.length + 1 + POSITION_BYTES + 4

export function snapshotId(base: LogBase): string {
  return `state${FORMAT}-${base.term}-${base.index}`
}

export async function* writeState(position: Position, items: AsyncIterable<KeyValue>): AsyncGenerator<Buffer> {
  const body = Buffer.concat([MAGIC, Buffer.from([FORMAT]), encodePosition(position)])
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(body))
  yield Buffer.concat([body, sum])
  yield* writeSnapshot(position.revision, items)
}

/** Where it stands, then each item in key order. Throws `STORE_CORRUPT` for what is damaged, `STORE_FORMAT` for what is newer. */
export async function* readStateStream(chunks: AsyncIterable<Buffer>): AsyncGenerator<{ position: Position } | { item: KeyValue }> {
  const reader = new ChunkReader(chunks)
  const head = await reader.take(HEAD_BYTES)
  const body = head.subarray(0, HEAD_BYTES - 4)
  if (crc32(body) !== head.readUInt32BE(HEAD_BYTES - 4) || !body.subarray(0, MAGIC.length).equals(MAGIC)) throw new CodedError('STORE_CORRUPT', 'the received state is damaged: it does not start like one')
  const format = body.readUInt8(MAGIC.length)
  if (format !== FORMAT) throw new CodedError('STORE_FORMAT', `the received state has format ${format}, this skiff reads ${FORMAT}: bring all servers to the same release`)
  yield { position: decodePosition(body.subarray(MAGIC.length + 1)) }
  for await (const part of readSnapshot(reader.rest())) if ('item' in part) yield part
}
