/**
 * A tar stream pushed in by chunks of any size, its entries handed out as they appear; nothing is held but one header.
 * Reads ustar, pax (also global), GNU long names, base-256 numbers and GNU sparse files (old, 0.1 and 1.0).
 * Own code because every part is bounded: an archive is somebody else's input.
 */
import { CodedError } from '#base/errors.ts'

export type TarEntryType = 'file' | 'link' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo'

export interface TarEntry {
  name: string
  type: TarEntryType
  /** Bytes of the file once unpacked (of a sparse file: with its holes). */
  sizeBytes: number
  /** Permission bits with setuid, setgid and sticky. */
  mode: number
  uid: number
  gid: number
  mtimeSeconds: number
  linkName: string
  deviceMajor: number
  deviceMinor: number
  /** From `SCHILY.xattr.*`. */
  xattrs: Map<string, Buffer>
}

export interface TarSink {
  /** `chunk` is only valid during the call. `position` is where it belongs in the file. */
  write(chunk: Buffer, position: number): void
  end(): void
}

export interface TarHandler {
  /** Undefined: the content is skipped. `offset` is where the content begins in the archive. */
  entry(entry: TarEntry, offset: number): TarSink | undefined
}

const BLOCK_BYTES = 512
/** Of one pax header or long name: far above any real one (paths end at 4,096 bytes), far below harm. */
const META_BYTES_MAX = 1 << 20
const SPARSE_PIECES_MAX = 65_536

const TYPES: Record<string, TarEntryType> = { '0': 'file', '\0': 'file', '7': 'file', '1': 'link', '2': 'symlink', '3': 'char', '4': 'block', '5': 'directory', '6': 'fifo', S: 'file' }

interface Piece { at: number; bytes: number }
type Phase =
  | { kind: 'header' }
  | { kind: 'meta'; type: 'x' | 'g' | 'L' | 'K'; left: number; parts: Buffer[] }
  | { kind: 'oldSparse'; header: Header; pieces: Piece[] }
  | { kind: 'sparseMap'; header: Header; text: string; read: number }
  | { kind: 'content'; left: number; sink: TarSink | undefined; pieces: Piece[] }
  | { kind: 'padding'; left: number }
  | { kind: 'end' }

interface Header { entry: TarEntry; storedBytes: number }

export class TarReader {
  readonly #handler: TarHandler
  #phase: Phase = { kind: 'header' }
  #rest: Buffer = Buffer.alloc(0)
  #offset = 0
  #padding = 0
  #global = new Map<string, Buffer>()
  #local = new Map<string, Buffer>()
  #longName: string | undefined
  #longLink: string | undefined

  constructor(handler: TarHandler) {
    this.#handler = handler
  }

  push(chunk: Buffer): void {
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    this.#rest = EMPTY
    for (;;) {
      const used = this.#step(data)
      if (used < 0) break
      this.#offset += used
      data = data.subarray(used)
    }
    this.#rest = data.length > 0 ? Buffer.from(data) : EMPTY
  }

  /** Throws when the archive stops in the middle of something. */
  finish(): void {
    const clean = this.#phase.kind === 'end' || (this.#phase.kind === 'header' && this.#rest.length === 0) || this.#phase.kind === 'padding'
    if (!clean) throw broken('archive ends in the middle of an entry')
  }

  /** Bytes consumed, or -1 when more are needed (or the archive has ended). */
  #step(data: Buffer): number {
    const phase = this.#phase
    switch (phase.kind) {
      case 'end': return data.length > 0 ? data.length : -1
      case 'header': return data.length < BLOCK_BYTES ? -1 : this.#header(data.subarray(0, BLOCK_BYTES))
      case 'meta': return this.#meta(phase, data)
      case 'oldSparse': return data.length < BLOCK_BYTES ? -1 : this.#oldSparse(phase, data.subarray(0, BLOCK_BYTES))
      case 'sparseMap': return data.length < BLOCK_BYTES ? -1 : this.#sparseMap(phase, data.subarray(0, BLOCK_BYTES))
      case 'content': return this.#content(phase, data)
      case 'padding': {
        if (phase.left === 0) {
          this.#phase = { kind: 'header' }
          return 0
        }
        const used = Math.min(phase.left, data.length)
        phase.left -= used
        return used || -1
      }
    }
  }

  #header(block: Buffer): number {
    if (isZero(block)) {
      this.#phase = { kind: 'end' }
      return BLOCK_BYTES
    }
    if (checksum(block) !== number(block, 148, 8)) throw broken('header checksum does not match')
    const type = String.fromCharCode(block[156] ?? 0)
    const size = number(block, 124, 12)
    if (type === 'x' || type === 'g' || type === 'L' || type === 'K') {
      if (size > META_BYTES_MAX) throw broken(`extended header of ${size} bytes is longer than ${META_BYTES_MAX}`)
      this.#phase = { kind: 'meta', type, left: size, parts: [] }
      this.#padding = paddingOf(size)
      return BLOCK_BYTES
    }
    const header = this.#compose(block, type, size)
    this.#padding = paddingOf(header.storedBytes)
    const pax = (key: string) => this.#local.get(key)?.toString()
    const sparseMajor = pax('GNU.sparse.major')
    const inlineMap = pax('GNU.sparse.map')
    this.#local = new Map()
    this.#longName = this.#longLink = undefined
    if (type === 'S') {
      const pieces = readPieces(block, 386, 4)
      header.entry.sizeBytes = number(block, 483, 12)
      this.#phase = { kind: 'oldSparse', header, pieces }
      if (block[482] === 0) this.#begin(header, pieces)
    } else if (sparseMajor === '1') this.#phase = { kind: 'sparseMap', header, text: '', read: 0 }
    else if (inlineMap !== undefined) this.#begin(header, parsePieces(inlineMap.split(',')))
    else this.#begin(header, [{ at: 0, bytes: header.storedBytes }])
    return BLOCK_BYTES
  }

  #compose(block: Buffer, typeFlag: string, size: number): Header {
    const pax = (key: string) => (this.#local.get(key) ?? this.#global.get(key))
    const text = (key: string) => pax(key)?.toString()
    const count = (key: string, fallback: number) => {
      const value = text(key)
      if (value === undefined) return fallback
      const parsed = Number(value)
      if (!Number.isFinite(parsed)) throw broken(`${key} is not a number`)
      return parsed
    }
    const type = TYPES[typeFlag]
    if (!type) throw broken(`entry type ${JSON.stringify(typeFlag)} is not supported`)
    const ustar = block.toString('latin1', 257, 262) === 'ustar'
    const prefix = ustar && block.toString('latin1', 257, 265) === 'ustar\x0000' ? cString(block, 345, 155) : ''
    const plainName = cString(block, 0, 100)
    const name = text('GNU.sparse.name') ?? text('path') ?? this.#longName ?? (prefix ? `${prefix}/${plainName}` : plainName)
    const hasContent = type === 'file'
    const storedBytes = hasContent ? count('size', size) : 0
    if (!Number.isSafeInteger(storedBytes) || storedBytes < 0) throw broken(`size of ${JSON.stringify(name)} is out of range`)
    const xattrs = new Map<string, Buffer>()
    for (const [key, value] of [...this.#global, ...this.#local]) if (key.startsWith(XATTR_PREFIX)) xattrs.set(key.slice(XATTR_PREFIX.length), value)
    return {
      storedBytes,
      entry: {
        name, type: type === 'file' && name.endsWith('/') ? 'directory' : type,
        sizeBytes: count('GNU.sparse.realsize', count('GNU.sparse.size', storedBytes)),
        mode: number(block, 100, 8) & 0o7777,
        uid: count('uid', number(block, 108, 8)), gid: count('gid', number(block, 116, 8)),
        mtimeSeconds: count('mtime', number(block, 136, 12)),
        linkName: text('linkpath') ?? this.#longLink ?? cString(block, 157, 100),
        deviceMajor: type === 'char' || type === 'block' ? number(block, 329, 8) : 0,
        deviceMinor: type === 'char' || type === 'block' ? number(block, 337, 8) : 0,
        xattrs,
      },
    }
  }

  #begin(header: Header, pieces: Piece[], alreadyRead = 0): void {
    const sink = this.#handler.entry(header.entry, this.#offset + BLOCK_BYTES)
    for (const piece of pieces) if (piece.at + piece.bytes > header.entry.sizeBytes) throw broken(`sparse map of ${JSON.stringify(header.entry.name)} reaches beyond its size`)
    this.#phase = { kind: 'content', left: header.storedBytes - alreadyRead, sink, pieces: pieces.map((p) => ({ ...p })) }
  }

  #meta(phase: Extract<Phase, { kind: 'meta' }>, data: Buffer): number {
    const used = Math.min(phase.left, data.length)
    if (used === 0 && phase.left > 0) return -1
    phase.parts.push(Buffer.from(data.subarray(0, used)))
    phase.left -= used
    if (phase.left > 0) return used
    const bytes = Buffer.concat(phase.parts)
    if (phase.type === 'x') this.#local = parsePax(bytes)
    else if (phase.type === 'g') for (const [key, value] of parsePax(bytes)) this.#global.set(key, value)
    else if (phase.type === 'L') this.#longName = cString(bytes, 0, bytes.length)
    else this.#longLink = cString(bytes, 0, bytes.length)
    this.#phase = { kind: 'padding', left: this.#padding }
    return used
  }

  #oldSparse(phase: Extract<Phase, { kind: 'oldSparse' }>, block: Buffer): number {
    phase.pieces.push(...readPieces(block, 0, 21))
    if (phase.pieces.length > SPARSE_PIECES_MAX) throw broken(`sparse file ${JSON.stringify(phase.header.entry.name)} has more than ${SPARSE_PIECES_MAX} pieces`)
    if (block[504] === 0) this.#begin(phase.header, phase.pieces)
    return BLOCK_BYTES
  }

  /** Sparse 1.0: decimal lines before the data: how many pieces, then offset and size of each; padded to a block. */
  #sparseMap(phase: Extract<Phase, { kind: 'sparseMap' }>, block: Buffer): number {
    phase.text += block.toString('latin1')
    phase.read += BLOCK_BYTES
    if (phase.read > META_BYTES_MAX || phase.read > phase.header.storedBytes) throw broken('sparse map is longer than its file')
    const lines = phase.text.split('\n')
    const pieceCount = lines.length > 1 ? Number(lines[0]) : undefined
    if (pieceCount !== undefined && !(pieceCount >= 0 && pieceCount <= SPARSE_PIECES_MAX)) throw broken('sparse map is malformed')
    if (pieceCount !== undefined && lines.length > 1 + pieceCount * 2) this.#begin(phase.header, parsePieces(lines.slice(1, 1 + pieceCount * 2)), phase.read)
    return BLOCK_BYTES
  }

  #content(phase: Extract<Phase, { kind: 'content' }>, data: Buffer): number {
    let used = 0
    while (phase.left > 0 && used < data.length) {
      const piece = phase.pieces[0]
      const take = Math.min(data.length - used, phase.left, piece ? piece.bytes : phase.left)
      if (piece && take > 0) phase.sink?.write(data.subarray(used, used + take), piece.at)
      if (piece) {
        piece.at += take
        piece.bytes -= take
        if (piece.bytes === 0) phase.pieces.shift()
      }
      used += take
      phase.left -= take
    }
    if (phase.left > 0) return used || -1
    phase.sink?.end()
    this.#phase = { kind: 'padding', left: this.#padding }
    return used
  }
}

const EMPTY: Buffer = Buffer.alloc(0)
const XATTR_PREFIX = 'SCHILY.xattr.'

function broken(why: string): CodedError {
  return new CodedError('CRI_INVALID', `invalid tar archive: ${why}`)
}

function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES
}

function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0)
}

function checksum(block: Buffer): number {
  let sum = 8 * 32
  for (let i = 0; i < BLOCK_BYTES; i++) if (i < 148 || i >= 156) sum += block[i] ?? 0
  return sum
}

/** Octal text, or big-endian binary when the first bit is set (GNU, for what octal cannot hold). */
function number(block: Buffer, at: number, length: number): number {
  const first = block[at] ?? 0
  if (first & 0x80) {
    let value = first & 0x40 ? -1n : BigInt(first & 0x3f)
    for (let i = 1; i < length; i++) value = (value << 8n) | BigInt(block[at + i] ?? 0)
    return Number(value)
  }
  const text = cString(block, at, length).trim()
  if (text === '') return 0
  if (!/^[0-7]+$/.test(text)) throw broken('a number in a header is not octal')
  return parseInt(text, 8)
}

function cString(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at)
  return block.toString('utf8', at, end < 0 || end > at + length ? at + length : end)
}

/** Records of `<length> <key>=<value>\n`, the length counting itself. */
function parsePax(bytes: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>()
  let at = 0
  const sparse: string[] = []
  while (at < bytes.length && bytes[at] !== 0) {
    const space = bytes.indexOf(0x20, at)
    const length = space < 0 || space - at > 8 ? NaN : Number(bytes.toString('latin1', at, space))
    const end = at + length
    if (!Number.isInteger(length) || end > bytes.length || end <= space + 1 || bytes[end - 1] !== 0x0a) throw broken('pax header is malformed')
    const equals = bytes.indexOf(0x3d, space)
    if (equals < 0 || equals >= end) throw broken('pax header is malformed')
    const key = bytes.toString('utf8', space + 1, equals)
    const value = Buffer.from(bytes.subarray(equals + 1, end - 1))
    // Sparse 0.0 repeats a pair of keys; written as 0.1's list it needs no other code.
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') sparse.push(value.toString())
    else records.set(key, value)
    at = end
  }
  if (sparse.length > 0) records.set('GNU.sparse.map', Buffer.from(sparse.join(',')))
  return records
}

function readPieces(block: Buffer, at: number, count: number): Piece[] {
  const pieces: Piece[] = []
  for (let i = 0; i < count; i++) {
    const offset = at + i * 24
    if (block[offset] === 0) break
    pieces.push({ at: number(block, offset, 12), bytes: number(block, offset + 12, 12) })
  }
  return pieces.filter((p) => p.bytes > 0)
}

function parsePieces(numbers: string[]): Piece[] {
  if (numbers.length / 2 > SPARSE_PIECES_MAX) throw broken('sparse map is too long')
  const pieces: Piece[] = []
  for (let i = 0; i + 1 < numbers.length; i += 2) {
    const at = Number(numbers[i])
    const bytes = Number(numbers[i + 1])
    if (!Number.isSafeInteger(at) || !Number.isSafeInteger(bytes) || at < 0 || bytes < 0) throw broken('sparse map is malformed')
    if (bytes > 0) pieces.push({ at, bytes })
  }
  return pieces
}
