/**
 * Headers of a tar archive: ustar, with a pax header before it for what ustar cannot hold. The same entry is always the same bytes,
 * and `tar-reader.ts` reads back what was written.
 */
import type { TarEntry, TarEntryType } from './tar-reader.ts'

/** `storedBytes`: of the content in the archive, where that is not the file's size. `pax`: more records, in this order. */
export interface WrittenEntry extends TarEntry { storedBytes?: number; pax?: ReadonlyMap<string, string> }

export const TAR_BLOCK_BYTES = 512
const TYPE_FLAGS: Readonly<Record<TarEntryType, string>> = { file: '0', link: '1', symlink: '2', char: '3', block: '4', directory: '5', fifo: '6' }
/** Of ustar's fields: what is longer or larger goes into a pax header. */
const NAME_BYTES = 100
const SMALL_NUMBER_MAX = 0o7777777
const LARGE_NUMBER_MAX = 0o77777777777

/** Whole blocks. The content, padded by `tarPadding`, follows. */
export function tarHeader(entry: WrittenEntry): Buffer {
  const { name, linkName, uid, gid, mtimeSeconds } = entry
  const sizeBytes = entry.type === 'file' ? entry.storedBytes ?? entry.sizeBytes : 0
  const pax = new Map<string, string | Buffer>(entry.pax)
  if (!isShort(name)) pax.set('path', name)
  if (!isShort(linkName)) pax.set('linkpath', linkName)
  if (uid > SMALL_NUMBER_MAX) pax.set('uid', String(uid))
  if (gid > SMALL_NUMBER_MAX) pax.set('gid', String(gid))
  if (sizeBytes > LARGE_NUMBER_MAX) pax.set('size', String(sizeBytes))
  if (!Number.isInteger(mtimeSeconds) || mtimeSeconds < 0 || mtimeSeconds > LARGE_NUMBER_MAX) pax.set('mtime', String(mtimeSeconds))
  for (const [key, value] of [...entry.xattrs].toSorted(([a], [b]) => (a < b ? -1 : 1))) pax.set(`SCHILY.xattr.${key}`, value)
  const own = block({ name, linkName, flag: TYPE_FLAGS[entry.type], mode: entry.mode, uid, gid, sizeBytes, mtimeSeconds: Math.floor(mtimeSeconds), deviceMajor: entry.deviceMajor, deviceMinor: entry.deviceMinor })
  if (pax.size === 0) return own
  const records = Buffer.concat([...pax].map(([key, value]) => paxRecord(key, value)))
  const before = block({ name: 'PaxHeaders.0/pax', linkName: '', flag: 'x', mode: 0o644, uid: 0, gid: 0, sizeBytes: records.length, mtimeSeconds: 0, deviceMajor: 0, deviceMinor: 0 })
  return Buffer.concat([before, records, tarPadding(records.length), own])
}

/** Zeros that fill up the last block of so many bytes. */
export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((TAR_BLOCK_BYTES - (sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES)
}

/** What an archive ends with. */
export const TAR_END_BYTES: number = 2 * TAR_BLOCK_BYTES

interface Fields { name: string; linkName: string; flag: string; mode: number; uid: number; gid: number; sizeBytes: number; mtimeSeconds: number; deviceMajor: number; deviceMinor: number }

function block(fields: Fields): Buffer {
  const bytes = Buffer.alloc(TAR_BLOCK_BYTES)
  const octal = (value: number, at: number, digits: number, max: number) => bytes.write(`${(value < 0 || value > max ? 0 : value).toString(8).padStart(digits, '0')}\0`, at, 'latin1')
  writeName(bytes, fields.name, 0)
  octal(fields.mode, 100, 7, SMALL_NUMBER_MAX)
  octal(fields.uid, 108, 7, SMALL_NUMBER_MAX)
  octal(fields.gid, 116, 7, SMALL_NUMBER_MAX)
  octal(fields.sizeBytes, 124, 11, LARGE_NUMBER_MAX)
  octal(fields.mtimeSeconds, 136, 11, LARGE_NUMBER_MAX)
  bytes.write(fields.flag, 156, 'latin1')
  writeName(bytes, fields.linkName, 157)
  bytes.write('ustar\x0000', 257, 'latin1')
  octal(fields.deviceMajor, 329, 7, SMALL_NUMBER_MAX)
  octal(fields.deviceMinor, 337, 7, SMALL_NUMBER_MAX)
  // The checksum counts its own field as spaces.
  bytes.fill(' ', 148, 156)
  bytes.write(`${bytes.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return bytes
}

/** Cut where a pax header has the whole of it. */
function writeName(bytes: Buffer, name: string, at: number): void {
  Buffer.from(name).copy(bytes, at, 0, NAME_BYTES)
}

/** Old readers take names that are not ASCII for what they like: pax says UTF-8. */
function isShort(name: string): boolean {
  return name.length <= NAME_BYTES && /^[\x20-\x7e]*$/.test(name)
}

/** `<length> <key>=<value>\n`, the length counting itself. */
function paxRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')])
  let length = rest.length + 1
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return Buffer.concat([Buffer.from(String(length)), rest])
}
