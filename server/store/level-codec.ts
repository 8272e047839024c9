/** How the store lays out its database: key spaces, the state value's header; and the log of its former format, to be read once. */
import { crc32 } from 'node:zlib'
import { CodedError } from '#base/errors.ts'
import type { KeyValue, Revision } from './store.ts'

/** Key spaces of the one database: `s<key>` state, `m<name>` about the store itself, `r...` the replicated log (`server/replication/log`); `l<index>` the log of format 1. */
export const STATE = 's'
export const LOG = 'l'
export const META_FORMAT = 'mformat'
/** Format 1: revisions below this may have been handed out. Read after an unclean stop. */
export const META_CEILING = 'mceiling'
/** Format 1: the exact revision; there only between a clean close and the next open. */
export const META_CLEAN = 'mclean'

const HEADER_BYTES = 18

export function encodeState(item: KeyValue): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + item.value.length)
  out.writeUIntBE(item.createRevision, 0, 6)
  out.writeUIntBE(item.modRevision, 6, 6)
  out.writeUIntBE(item.version, 12, 6)
  item.value.copy(out, HEADER_BYTES)
  return out
}

export function decodeState(key: string, bytes: Buffer): KeyValue {
  if (bytes.length < HEADER_BYTES) throw new CodedError('STORE_CORRUPT', `the value of ${key} is shorter than its header`)
  return {
    key,
    value: bytes.subarray(HEADER_BYTES),
    createRevision: bytes.readUIntBE(0, 6),
    modRevision: bytes.readUIntBE(6, 6),
    version: bytes.readUIntBE(12, 6),
  }
}

const CHECKSUM_BYTES = 4
/** In the first byte of what ends in a checksum: no revision is that large. */
const CHECKED = 0x80

/** As `encodeState`, with a CRC-32 over key and content: LevelDB itself does not look whether what it reads is what was written. */
export function encodeChecked(item: KeyValue): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + item.value.length + CHECKSUM_BYTES)
  out.writeUIntBE(item.createRevision, 0, 6)
  out.writeUIntBE(item.modRevision, 6, 6)
  out.writeUIntBE(item.version, 12, 6)
  out.writeUInt8(out.readUInt8(0) | CHECKED, 0)
  item.value.copy(out, HEADER_BYTES)
  const end = out.length - CHECKSUM_BYTES
  out.writeUInt32BE(crc32(out.subarray(0, end), crc32(item.key)), end)
  return out
}

/** What either of them wrote: values of format 2 have no checksum until they are written again. */
export function decodeChecked(key: string, bytes: Buffer): KeyValue {
  if (bytes.length === 0 || (bytes.readUInt8(0) & CHECKED) === 0) return decodeState(key, bytes)
  const end = bytes.length - CHECKSUM_BYTES
  if (end < HEADER_BYTES || crc32(bytes.subarray(0, end), crc32(key)) !== bytes.readUInt32BE(end)) {
    throw new CodedError('STORE_CORRUPT', `the value of ${key} is damaged on this server's disk: restore a snapshot, or, where there are other servers, take this one out (skiff members remove), move its database away and let it join again`)
  }
  return {
    key,
    value: bytes.subarray(HEADER_BYTES, end),
    createRevision: (bytes.readUInt8(0) & ~CHECKED) * 2 ** 40 + bytes.readUIntBE(1, 5),
    modRevision: bytes.readUIntBE(6, 6),
    version: bytes.readUIntBE(12, 6),
  }
}

/** What replay needs of an event: the key and what it became. */
export type LoggedChange = { key: string; revision: Revision; current: KeyValue | undefined }

/** One group commit of format 1: CRC-32, then per change a tag, the revision, the key and, for a put, its state bytes. */
export function decodeLogEntry(name: string, entry: Buffer): LoggedChange[] {
  if (entry.length < 4 || crc32(entry.subarray(4)) !== entry.readUInt32BE(0)) {
    throw new CodedError('STORE_CORRUPT', `log entry ${name} fails its checksum: restore a snapshot, or start with an empty data directory`)
  }
  const changes: LoggedChange[] = []
  for (let at = 4; at < entry.length; ) {
    const isPut = entry.readUInt8(at) === 1
    const revision = entry.readUIntBE(at + 1, 6)
    const keyEnd = at + 15 + entry.readUInt32BE(at + 7)
    const end = keyEnd + entry.readUInt32BE(at + 11)
    const key = entry.toString('utf8', at + 15, keyEnd)
    changes.push({ key, revision, current: isPut ? decodeState(key, entry.subarray(keyEnd, end)) : undefined })
    at = end
  }
  return changes
}
