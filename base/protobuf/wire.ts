/**
 * The protobuf wire: varints, lengths, tags. The reader is bounded by its buffer and by a depth; what is malformed throws
 * a WireError with the words of upstream's generated code. The writer goes backwards, so that a message's length is known
 * when its prefix is written.
 */

/** 0 varint, 1 eight bytes, 2 length and bytes, 3 and 4 groups (only skipped), 5 four bytes. */
export type WireType = 0 | 1 | 2 | 5

/** `message`: as gogo-protobuf words it. */
export class WireError extends Error {}

const TWO_32 = 4_294_967_296
const TWO_63 = 2 ** 63
const INT64_MAX = 2n ** 63n - 1n

export class WireReader {
  /** The varint read last, as two halves. */
  lo = 0
  hi = 0
  at: number
  /** Where the innermost open message ends. */
  end: number
  readonly bytes: Buffer
  #depthLeft: number

  constructor(bytes: Buffer, depthMax: number) {
    this.bytes = bytes
    this.at = 0
    this.end = bytes.length
    this.#depthLeft = depthMax
  }

  varint(): void {
    let lo = 0
    let hi = 0
    for (let shift = 0; ; shift += 7) {
      if (shift >= 64) throw new WireError('proto: integer overflow')
      if (this.at >= this.end) throw new WireError('unexpected EOF')
      const byte = this.bytes[this.at++] as number
      const seven = byte & 0x7f
      if (shift < 28) lo |= seven << shift
      else if (shift === 28) {
        lo |= seven << 28
        hi = seven >> 4
      } else hi |= seven << (shift - 32)
      if (byte < 0x80) break
    }
    this.lo = lo
    this.hi = hi
  }

  int32(): number {
    this.varint()
    return this.lo | 0
  }

  /** The nearest number beyond 2^53, as JSON would give. */
  int64(): number {
    this.varint()
    return this.hi * TWO_32 + (this.lo >>> 0)
  }

  bool(): boolean {
    this.varint()
    return (this.lo | this.hi) !== 0
  }

  double(): number {
    this.#need(8)
    const value = this.bytes.readDoubleLE(this.at)
    this.at += 8
    return value
  }

  /** The bytes of a length-delimited value: a view, not a copy. */
  slice(): Buffer {
    const size = this.#length()
    const from = this.at
    this.at += size
    return this.bytes.subarray(from, this.at)
  }

  string(): string {
    const size = this.#length()
    const text = this.bytes.toString('utf8', this.at, this.at + size)
    this.at += size
    return text
  }

  /** Enters a length-delimited message; the answer is for `close`. */
  open(): number {
    const outer = this.end
    const size = this.#length()
    if (--this.#depthLeft < 0) throw new WireError('exceeded max depth')
    this.end = this.at + size
    return outer
  }

  close(outer: number): void {
    this.#depthLeft++
    this.end = outer
  }

  /** Passes over a value of a field nobody knows. `wire` is as read, so it may be anything from 0 to 7. */
  skip(wire: number): void {
    let groups = 0
    for (let type = wire; ; ) {
      switch (type) {
        case 0: this.varint(); break
        case 1: this.#pass(8); break
        case 2: this.#pass(this.#length()); break
        case 3: groups++; break
        case 4:
          if (groups === 0) throw new WireError('proto: unexpected end of group')
          groups--
          break
        case 5: this.#pass(4); break
        default: throw new WireError(`proto: illegal wireType ${type}`)
      }
      if (groups === 0) return
      this.varint()
      type = this.lo & 7
    }
  }

  #pass(size: number): void {
    this.#need(size)
    this.at += size
  }

  #need(size: number): void {
    if (size > this.end - this.at) throw new WireError('unexpected EOF')
  }

  #length(): number {
    this.varint()
    if (this.hi < 0) throw new WireError('proto: negative length found during unmarshaling')
    const size = this.hi * TWO_32 + (this.lo >>> 0)
    this.#need(size)
    return size
  }
}

const FIRST_BYTES = 1024
/** A writer that is used again keeps its room up to here. */
const KEPT_BYTES_MAX = 64 * 1024

/** Written from the last byte to the first. */
export class WireWriter {
  #bytes: Buffer = Buffer.allocUnsafe(FIRST_BYTES)
  /** Where what is written begins. */
  #at = FIRST_BYTES

  /** Bytes written so far: a message's length is the difference of two of these. */
  get size(): number {
    return this.#bytes.length - this.#at
  }

  /** The caller's own copy. */
  finish(): Buffer {
    return Buffer.from(this.#bytes.subarray(this.#at))
  }

  /** Forgets what was written, whole or not: a writer for many messages. */
  restart(): void {
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#bytes = Buffer.allocUnsafe(FIRST_BYTES)
    this.#at = this.#bytes.length
  }

  tag(number: number, wire: WireType): void {
    this.#varint(number * 8 + wire, 0)
  }

  /** The length prefix of what was written since `size` was `before`. */
  length(before: number): void {
    this.#varint(this.size - before, 0)
  }

  /** What numbers cannot tell from 2^63 is the largest there is, not the least. */
  int(value: number): void {
    if (value >= 0 && value < TWO_32) return this.#varint(value, 0)
    const bits = value >= TWO_63 ? INT64_MAX : BigInt.asUintN(64, BigInt(value))
    return this.#varint(Number(bits & 0xffff_ffffn), Number(bits >> 32n))
  }

  bool(value: boolean): void {
    this.#varint(value ? 1 : 0, 0)
  }

  double(value: number): void {
    this.#reserve(8)
    this.#bytes.writeDoubleLE(value, this.#at)
  }

  /** With its length. */
  string(text: string): void {
    const size = Buffer.byteLength(text)
    this.#reserve(size)
    this.#bytes.write(text, this.#at)
    this.#varint(size, 0)
  }

  /** A part of other bytes, with its length. */
  slice(source: Buffer, start: number, end: number): void {
    this.#reserve(end - start)
    source.copy(this.#bytes, this.#at, start, end)
    this.#varint(end - start, 0)
  }

  /** With their length. */
  bytes(bytes: Uint8Array): void {
    this.raw(bytes)
    this.#varint(bytes.length, 0)
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#at)
  }

  /** Both halves unsigned. */
  #varint(low: number, high: number): void {
    let lo = low
    let hi = high
    const bits = hi === 0 ? 32 - Math.clz32(lo) : 64 - Math.clz32(hi)
    const size = Math.max(1, Math.ceil(bits / 7))
    this.#reserve(size)
    for (let i = 0; i < size; i++) {
      this.#bytes[this.#at + i] = (lo & 0x7f) | (i < size - 1 ? 0x80 : 0)
      lo = ((lo >>> 7) | (hi << 25)) >>> 0
      hi >>>= 7
    }
  }

  #reserve(size: number): void {
    if (size > this.#at) {
      const used = this.size
      const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, used + size))
      this.#bytes.copy(grown, grown.length - used, this.#at)
      this.#at = grown.length - used
      this.#bytes = grown
    }
    this.#at -= size
  }
}
