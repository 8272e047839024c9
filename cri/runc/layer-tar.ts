/**
 * An unpacked layer as the tar of an image's layer again: what `LayerWriter` did, backwards. The same tree is always the same bytes, on any
 * machine, though not those it came from: archives differ in order, headers and padding, and those are not kept.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { join } from 'node:path'
import { CodedError } from '#base/errors.ts'
import { deviceOf } from './device-number.ts'
import { dataPieces, getXattr, listXattrs } from './native.ts'
import { TAR_END_BYTES, tarHeader, tarPadding } from './tar-header.ts'
import type { WrittenEntry } from './tar-header.ts'
import type { TarEntryType } from './tar-reader.ts'

const CHUNK_BYTES = 256 * 1024
const OVERLAY_OPAQUE = 'trusted.overlay.opaque'
/** Less is not worth a map: archives of files with a few empty blocks stay plain. */
const HOLES_BYTES_MIN = 1 << 20

/** In chunks that are the caller's. Reading waits for the disk: for a process that has nothing else to do. */
export function* layerTar(root: string): Generator<Buffer> {
  const firstNames = new Map<string, string>()
  const top = lstatSync(root, { bigint: true })
  // A layer need not name its root: then it is as `LayerStore` makes them.
  if (permissions(top) !== 0o755 || top.uid !== 0n || top.gid !== 0n) yield tarHeader(entryOf('./', 'directory', top, xattrsOf(root)))
  yield* tarOfDirectory(root, '', firstNames)
  yield Buffer.alloc(TAR_END_BYTES)
}

function* tarOfDirectory(path: string, prefix: string, firstNames: Map<string, string>): Generator<Buffer> {
  if (getXattr(path, OVERLAY_OPAQUE)?.toString() === 'y') yield tarHeader(marker(`${prefix}.wh..wh..opq`))
  for (const base of readdirSync(path).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) yield* tarOfNode(join(path, base), prefix, base, firstNames)
}

function* tarOfNode(path: string, prefix: string, base: string, firstNames: Map<string, string>): Generator<Buffer> {
  const stat = lstatSync(path, { bigint: true })
  const name = `${prefix}${base}`
  const device = deviceOf(stat.rdev)
  if (stat.isCharacterDevice() && device.major === 0 && device.minor === 0) return yield tarHeader(marker(`${prefix}.wh.${base}`))
  if (stat.isDirectory()) {
    yield tarHeader(entryOf(`${name}/`, 'directory', stat, xattrsOf(path)))
    return yield* tarOfDirectory(path, `${name}/`, firstNames)
  }
  const linkName = stat.nlink > 1n ? firstNames.get(String(stat.ino)) : undefined
  if (linkName !== undefined) return yield tarHeader({ ...entryOf(name, 'link', stat), linkName })
  if (stat.nlink > 1n) firstNames.set(String(stat.ino), name)
  if (stat.isFile()) return yield* tarOfFile(path, entryOf(name, 'file', stat, xattrsOf(path)), stat)
  if (stat.isSymbolicLink()) return yield tarHeader({ ...entryOf(name, 'symlink', stat), linkName: readlinkSync(path) })
  if (stat.isFIFO()) return yield tarHeader(entryOf(name, 'fifo', stat))
  // Sockets are in no archive.
  if (stat.isCharacterDevice() || stat.isBlockDevice()) yield tarHeader({ ...entryOf(name, stat.isBlockDevice() ? 'block' : 'char', stat), deviceMajor: device.major, deviceMinor: device.minor })
}

function* tarOfFile(path: string, entry: WrittenEntry, stat: BigIntStats): Generator<Buffer> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const { sizeBytes } = entry
    if (fstatSync(fd).size !== sizeBytes) throw changed(path)
    const pieces = stat.blocks * 512n + BigInt(HOLES_BYTES_MIN) <= stat.size ? dataPieces(fd, sizeBytes) : [{ at: 0, bytes: sizeBytes }]
    const dataBytes = pieces.reduce((sum, piece) => sum + piece.bytes, 0)
    let map: Buffer = Buffer.alloc(0)
    if (dataBytes + HOLES_BYTES_MIN <= sizeBytes) {
      map = sparseMap(pieces, sizeBytes)
      // GNU's sparse format 1.0.
      const pax = new Map([['GNU.sparse.major', '1'], ['GNU.sparse.minor', '0'], ['GNU.sparse.name', entry.name], ['GNU.sparse.realsize', String(sizeBytes)]])
      yield tarHeader({ ...entry, name: `GNUSparseFile.0/${entry.name.split('/').at(-1) ?? ''}`, storedBytes: map.length + dataBytes, pax })
      yield map
      for (const piece of pieces) yield* bytesOf(fd, piece.at, piece.bytes, path)
      return yield tarPadding(map.length + dataBytes)
    }
    yield tarHeader(entry)
    yield* bytesOf(fd, 0, sizeBytes, path)
    yield tarPadding(sizeBytes)
  } finally {
    closeSync(fd)
  }
}

function* bytesOf(fd: number, at: number, bytes: number, path: string): Generator<Buffer> {
  for (let done = 0; done < bytes;) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, bytes - done))
    const read = readSync(fd, chunk, 0, chunk.length, at + done)
    if (read === 0) throw changed(path)
    done += read
    yield chunk.subarray(0, read)
  }
}

/** Decimal lines: how many pieces, then offset and size of each; padded to a block. A file that ends in a hole has an empty piece there, as GNU tar writes. */
function sparseMap(pieces: readonly { at: number; bytes: number }[], sizeBytes: number): Buffer {
  const last = pieces.at(-1)
  const listed = last !== undefined && last.at + last.bytes === sizeBytes ? pieces : [...pieces, { at: sizeBytes, bytes: 0 }]
  const text = Buffer.from(`${listed.length}\n${listed.map(({ at, bytes }) => `${at}\n${bytes}\n`).join('')}`)
  return Buffer.concat([text, tarPadding(text.length)])
}

/** Whiteouts are empty files. */
function marker(name: string): WrittenEntry {
  return { name, type: 'file', sizeBytes: 0, mode: 0, uid: 0, gid: 0, mtimeSeconds: 0, linkName: '', deviceMajor: 0, deviceMinor: 0, xattrs: new Map() }
}

function entryOf(name: string, type: TarEntryType, stat: BigIntStats, xattrs: Map<string, Buffer> = new Map()): WrittenEntry {
  return {
    name, type, sizeBytes: type === 'file' ? Number(stat.size) : 0, mode: permissions(stat), uid: Number(stat.uid), gid: Number(stat.gid),
    // As fine as a number of seconds holds: unpacked and packed again it is the same.
    mtimeSeconds: Number((stat.mtimeNs + 500n) / 1000n) / 1e6, linkName: '', deviceMajor: 0, deviceMinor: 0, xattrs,
  }
}

const permissions = (stat: BigIntStats): number => Number(stat.mode & 0o7777n)

/** What `LayerWriter` sets. */
function xattrsOf(path: string): Map<string, Buffer> {
  const found = new Map<string, Buffer>()
  for (const name of listXattrs(path)) {
    const value = name === 'security.capability' || name.startsWith('user.') ? getXattr(path, name) : undefined
    if (value) found.set(name, value)
  }
  return found
}

function changed(path: string): CodedError {
  return new CodedError('CRI_FAILED', `${path} changed while it was being exported`)
}
