/** Whole numbers, texts and byte strings one after the other: what messages between servers are made of. */
import { CodedError } from '#base/errors.ts'

/** Larger pieces go out as they are; smaller ones are copied together. */
const COPY_BYTES_MAX = 4096

export interface ByteWriter {
  /** 0 to 2^53 - 1, seven bits a byte, low ones first. */
  number(value: number): void
  flag(value: boolean): void
  text(value: string): void
  /** With its length before it. Not copied where it is large: must not change until it is sent. */
  bytes(value: Buffer): void
  /** All of it, and how long it is; `fill` is handed the head that room was left for. */
  end(fill: (head: Buffer, length: number) => void): { pieces: Buffer[]; length: number }
}

export function byteWriter(headBytes: number): ByteWriter {
  const pieces: Buffer[] = []
  let at = headBytes
  let room = Buffer.allocUnsafe(256)
  let total = headBytes
  const need = (count: number) => {
    if (at + count <= room.length) return
    const next = Buffer.allocUnsafe(Math.max(room.length * 2, at + count))
    room.copy(next, 0, 0, at)
    room = next
  }
  const flush = () => {
    if (at === 0) return
    pieces.push(room.subarray(0, at))
    room = room.subarray(at)
    at = 0
  }
  const number = (value: number) => {
    need(8)
    let rest = value
    while (rest >= 0x80) {
      room[at++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
      total++
    }
    room[at++] = rest
    total++
  }
  const bytes = (value: Buffer) => {
    number(value.length)
    total += value.length
    if (value.length > COPY_BYTES_MAX) {
      flush()
      pieces.push(value)
      return
    }
    need(value.length)
    at += value.copy(room, at)
  }
  return {
    number,
    flag: (value) => number(value ? 1 : 0),
    text: (value) => bytes(Buffer.from(value, 'utf8')),
    bytes,
    end(fill) {
      flush()
      fill(pieces[0] as Buffer, total)
      return { pieces, length: total }
    },
  }
}

export interface ByteReader {
  number(): number
  flag(): boolean
  text(lengthMax: number): string
  /** Of the same memory. */
  bytes(): Buffer
  /** How many bytes are left: nothing that is counted can be more. */
  readonly left: number
}

/** Its functions throw `PEER_MALFORMED`. */
export function byteReader(from: Buffer): ByteReader {
  let at = 0
  const malformed = (what: string) => new CodedError('PEER_MALFORMED', `a message of another server is malformed: ${what}`)
  const number = () => {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const byte = from[at++]
      if (byte === undefined) throw malformed('it ends within a number')
      value += (byte & 0x7f) * scale
      if (value > Number.MAX_SAFE_INTEGER) throw malformed('a number is too large')
      if (byte < 0x80) return value
      if (scale > 2 ** 49) throw malformed('a number is too long')
    }
  }
  const bytes = () => {
    const length = number()
    if (length > from.length - at) throw malformed('it is shorter than it says')
    at += length
    return from.subarray(at - length, at)
  }
  return {
    number,
    flag() {
      const value = number()
      if (value > 1) throw malformed('a flag is neither 0 nor 1')
      return value === 1
    },
    text(lengthMax) {
      const found = bytes()
      if (found.length > lengthMax) throw malformed(`a text has ${found.length} bytes, at most ${lengthMax} can be`)
      return found.toString('utf8')
    },
    bytes,
    get left() { return from.length - at },
  }
}
