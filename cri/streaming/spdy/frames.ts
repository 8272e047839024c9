/**
 * SPDY/3.1 framing (SPDY Protocol Draft 3.1, section 2.2): splitting a byte stream into frames and building them.
 * Header blocks are opaque here. kubectl's and CRI clients' library does no flow control, so neither does this.
 */
import { CodedError } from '#base/errors.ts'

export const SYN_STREAM = 1
export const SYN_REPLY = 2
export const RST_STREAM = 3
export const SETTINGS = 4
export const PING = 6
export const GOAWAY = 7
export const HEADERS = 8
export const WINDOW_UPDATE = 9

export const FLAG_FIN = 1

/** A frame longer than this is not ours to hold in memory; the libraries in use send 32 KiB at most. */
export const FRAME_BYTES_MAX = 1 << 20

export type Frame =
  | { kind: 'data'; streamId: number; fin: boolean; data: Buffer }
  | { kind: 'control'; type: number; flags: number; body: Buffer }

/** Cuts the bytes that arrive into frames; keeps what is not complete yet. */
export class FrameParser {
  #rest: Buffer = Buffer.alloc(0)

  push(chunk: Buffer): Frame[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const frames: Frame[] = []
    for (;;) {
      if (this.#rest.length < 8) return frames
      const word = this.#rest.readUInt32BE(0)
      const isData = word >>> 31 === 0
      const version = (word >>> 16) & 0x7fff
      if (!isData && version !== 3) throw new CodedError('SPDY_PROTOCOL', `SPDY version ${version} is not 3`)
      const length = this.#rest.readUIntBE(5, 3)
      if (length > FRAME_BYTES_MAX) throw new CodedError('SPDY_PROTOCOL', `a SPDY frame of ${length} bytes is longer than ${FRAME_BYTES_MAX}`)
      if (this.#rest.length < 8 + length) return frames
      const flags = this.#rest.readUInt8(4)
      const body = this.#rest.subarray(8, 8 + length)
      this.#rest = this.#rest.subarray(8 + length)
      if (isData) frames.push({ kind: 'data', streamId: word, fin: (flags & FLAG_FIN) !== 0, data: body })
      else frames.push({ kind: 'control', type: word & 0xffff, flags, body })
    }
  }
}

export function dataFrame(streamId: number, data: Buffer, fin: boolean): Buffer[] {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(streamId & 0x7fffffff, 0)
  head.writeUInt32BE(((fin ? FLAG_FIN : 0) << 24) | data.length, 4)
  return data.length === 0 ? [head] : [head, data]
}

export function controlFrame(type: number, flags: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(8)
  head.writeUInt16BE(0x8003, 0)
  head.writeUInt16BE(type, 2)
  head.writeUInt32BE((flags << 24) | body.length, 4)
  return Buffer.concat([head, body])
}

export function words(...values: readonly number[]): Buffer {
  const out = Buffer.alloc(values.length * 4)
  values.forEach((v, i) => out.writeUInt32BE(v >>> 0, i * 4))
  return out
}
