/**
 * How the replicated log lies in the shared database: `re<index>` an entry, `rb` what the log begins after, `rh` term and
 * vote, `rt` where the log ends. Each record begins with a CRC-32 over its key and what follows.
 */
import { crc32 } from 'node:zlib'
import { CodedError } from '#base/errors.ts'
import { decodeConfiguration, encodeConfiguration } from '../../raft/configuration.ts'
import type { Entry, EntryKind, HardState, LogBase, LogIndex } from '../../raft/types.ts'

/** All keys of the log storage begin with it. */
export const LOG_PREFIX = 'r'
export const ENTRY_PREFIX = 're'
/** Above all keys of entries, which end in hexadecimal digits. */
export const ENTRY_END = 're~'
export const BASE_KEY = 'rb'
export const HARD_STATE_KEY = 'rh'
export const TAIL_KEY = 'rt'

const FORMAT = 1
const CRC_BYTES = 4
const ENTRY_HEADER_BYTES = CRC_BYTES + 7
const KINDS: readonly EntryKind[] = ['normal', 'configuration', 'empty']

export function entryKey(index: LogIndex): string {
  return ENTRY_PREFIX + index.toString(16).padStart(14, '0')
}

export function indexOfKey(key: string): LogIndex {
  return Number.parseInt(key.slice(ENTRY_PREFIX.length), 16)
}

export function encodeEntry(entry: Entry): Buffer {
  const out = Buffer.allocUnsafe(ENTRY_HEADER_BYTES + entry.data.length)
  out.writeUIntBE(entry.term, CRC_BYTES, 6)
  out[CRC_BYTES + 6] = KINDS.indexOf(entry.kind)
  entry.data.copy(out, ENTRY_HEADER_BYTES)
  return sealed(entryKey(entry.index), out)
}

/** Throws RAFT_LOG_DAMAGED. The data is a view of `bytes`. */
export function decodeEntry(index: LogIndex, bytes: Buffer | undefined): Entry {
  if (bytes === undefined) throw damaged(`entry ${index} is missing`, index)
  const body = opened(entryKey(index), bytes, `entry ${index}`, index)
  const kind = KINDS[body[6] ?? 0xff]
  if (body.length < ENTRY_HEADER_BYTES - CRC_BYTES || kind === undefined) throw damaged(`entry ${index} cannot be read`, index)
  return { term: body.readUIntBE(0, 6), index, kind, data: body.subarray(7) }
}

export function encodeBase(base: LogBase): Buffer {
  const head = Buffer.alloc(CRC_BYTES + 13)
  head[CRC_BYTES] = FORMAT
  head.writeUIntBE(base.index, CRC_BYTES + 1, 6)
  head.writeUIntBE(base.term, CRC_BYTES + 7, 6)
  return sealed(BASE_KEY, Buffer.concat([head, encodeConfiguration(base.configuration)]))
}

export function decodeBase(bytes: Buffer | undefined): LogBase {
  if (bytes === undefined) throw damaged('the record of what it begins after is missing')
  const body = opened(BASE_KEY, bytes, 'the record of what it begins after')
  const format = body[0] ?? 0
  if (format > FORMAT) throw new CodedError('RAFT_LOG_FORMAT', `the replicated log was written by a newer skiff (format ${format}, this one reads up to ${FORMAT}): install that release again`)
  return { index: body.readUIntBE(1, 6), term: body.readUIntBE(7, 6), configuration: decodeConfiguration(body.subarray(13)) }
}

export function encodeHardState(state: HardState): Buffer {
  const out = Buffer.alloc(CRC_BYTES + 14)
  out.writeUIntBE(state.term, CRC_BYTES, 6)
  out.writeBigUInt64BE(BigInt(state.vote), CRC_BYTES + 6)
  return sealed(HARD_STATE_KEY, out)
}

export function decodeHardState(bytes: Buffer | undefined): HardState {
  if (bytes === undefined) return { term: 0, vote: 0 }
  const body = opened(HARD_STATE_KEY, bytes, 'the record of term and vote')
  return { term: body.readUIntBE(0, 6), vote: Number(body.readBigUInt64BE(6)) }
}

export function encodeTail(lastIndex: LogIndex): Buffer {
  const out = Buffer.alloc(CRC_BYTES + 6)
  out.writeUIntBE(lastIndex, CRC_BYTES, 6)
  return sealed(TAIL_KEY, out)
}

export function decodeTail(bytes: Buffer | undefined): LogIndex {
  if (bytes === undefined) throw damaged('the record of where it ends is missing')
  return opened(TAIL_KEY, bytes, 'the record of where it ends').readUIntBE(0, 6)
}

export function damaged(what: string, index?: LogIndex, cause?: unknown): CodedError {
  return new CodedError('RAFT_LOG_DAMAGED', `the replicated log is damaged: ${what}. Where other servers of the cluster are well, remove this one (kubectl delete node), move its data directory away and join it again; where it is the only one, restore a snapshot (skiff snapshot restore)`, {
    cause,
    details: index === undefined ? {} : { index },
  })
}

/** Checksums cover the key: a record in another's place is damage, too. */
function sealed(key: string, out: Buffer): Buffer {
  out.writeUInt32BE(crc32(out.subarray(CRC_BYTES), crc32(key)), 0)
  return out
}

function opened(key: string, bytes: Buffer, what: string, index?: LogIndex): Buffer {
  const body = bytes.subarray(CRC_BYTES)
  if (bytes.length < CRC_BYTES || crc32(body, crc32(key)) !== bytes.readUInt32BE(0)) throw damaged(`${what} fails its checksum`, index)
  return body
}
