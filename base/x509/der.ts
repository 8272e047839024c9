/**
 * The part of ASN.1 DER (X.690) that X.509 needs: definite lengths, single-byte tags. Reading is strict (shortest
 * lengths, nothing left over), bounded and without recursion of its own: callers descend as deep as their structure
 * says, so hostile input costs at most its own size.
 */
import { CodedError } from '../errors.ts'

/** Larger than any certificate or request met in practice (RSA 16384 with a page of names is 12 KiB). */
export const DER_BYTES_MAX = 64 * 1024

export const TAG = {
  boolean: 0x01, integer: 0x02, bitString: 0x03, octetString: 0x04, null: 0x05, oid: 0x06, utf8String: 0x0c,
  printableString: 0x13, teletexString: 0x14, ia5String: 0x16, utcTime: 0x17, generalizedTime: 0x18, bmpString: 0x1e,
  sequence: 0x30, set: 0x31,
} as const

export interface DerValue {
  tag: number
  /** The contents, a view into the input. */
  value: Buffer
  /** Tag, length and contents: what signatures cover. */
  raw: Buffer
}

export function malformed(what: string, cause?: unknown): CodedError {
  return new CodedError('X509_MALFORMED', what, { cause })
}

/** Exactly one value that fills `input`. Throws X509_MALFORMED. */
export function readDer(input: Buffer): DerValue {
  if (input.length > DER_BYTES_MAX) throw malformed(`DER of ${input.length} bytes is larger than ${DER_BYTES_MAX}`)
  const value = readAt(input, 0)
  if (value.raw.length !== input.length) throw malformed('bytes left over after the DER value')
  return value
}

/** The values inside a constructed value, in order. */
export function childrenOf(parent: DerValue): DerValue[] {
  if ((parent.tag & 0x20) === 0) throw malformed(`tag 0x${parent.tag.toString(16)} is not constructed`)
  const children: DerValue[] = []
  for (let at = 0; at < parent.value.length;) {
    const child = readAt(parent.value, at)
    children.push(child)
    at += child.raw.length
  }
  return children
}

export function expectTag(value: DerValue | undefined, tag: number, what: string): DerValue {
  if (!value) throw malformed(`${what} is missing`)
  if (value.tag !== tag) throw malformed(`${what} has tag 0x${value.tag.toString(16)}, expected 0x${tag.toString(16)}`)
  return value
}

function readAt(input: Buffer, at: number): DerValue {
  const tag = input[at]
  const first = input[at + 1]
  if (tag === undefined || first === undefined) throw malformed('DER value is cut off')
  if ((tag & 0x1f) === 0x1f) throw malformed('multi-byte tags do not occur in X.509')
  let length = first
  let header = 2
  if (first >= 0x80) {
    const count = first & 0x7f
    if (count === 0 || count > 3) throw malformed('DER length is indefinite or absurd')
    header += count
    if (at + header > input.length) throw malformed('DER length is cut off')
    length = input.readUIntBE(at + 2, count)
    if (length < 0x80 || length < 2 ** (8 * (count - 1))) throw malformed('DER length is not the shortest form')
  }
  const end = at + header + length
  if (end > input.length) throw malformed('DER value is cut off')
  return { tag, value: input.subarray(at + header, end), raw: input.subarray(at, end) }
}

export function readOid(value: DerValue): string {
  const bytes = value.value
  if (bytes.length === 0 || bytes.length > 64 || ((bytes.at(-1) ?? 0) & 0x80) !== 0) throw malformed('object identifier is not valid')
  const arcs: bigint[] = []
  let arc = 0n
  for (const byte of bytes) {
    arc = (arc << 7n) | BigInt(byte & 0x7f)
    if ((byte & 0x80) === 0) {
      arcs.push(arc)
      arc = 0n
    }
  }
  const first = arcs[0] ?? 0n
  const top = first < 40n ? 0n : first < 80n ? 1n : 2n
  return [top, first - top * 40n, ...arcs.slice(1)].join('.')
}

/** UTCTime or GeneralizedTime as RFC 5280 4.1.2.5 restricts them, in milliseconds. */
export function readTime(value: DerValue | undefined): number {
  if (!value || (value.tag !== TAG.utcTime && value.tag !== TAG.generalizedTime)) throw malformed('time is missing')
  const text = value.value.toString('latin1')
  const match = (value.tag === TAG.utcTime ? /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/ : /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/).exec(text)
  if (!match) throw malformed(`time ${JSON.stringify(text)} is not in the form RFC 5280 asks for`)
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number)
  const fullYear = value.tag === TAG.utcTime ? (year < 50 ? 2000 + year : 1900 + year) : year
  const ms = Date.UTC(fullYear, month - 1, day, hour, minute, second)
  if (Number.isNaN(ms) || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59) throw malformed(`time ${JSON.stringify(text)} does not exist`)
  return ms
}

export function der(tag: number, ...contents: Buffer[]): Buffer {
  const length = contents.reduce((sum, c) => sum + c.length, 0)
  return Buffer.concat([Buffer.from([tag]), lengthBytes(length), ...contents])
}

export const sequence = (...contents: Buffer[]): Buffer => der(TAG.sequence, ...contents)
export const set = (...contents: Buffer[]): Buffer => der(TAG.set, ...contents)
export const octets = (bytes: Buffer): Buffer => der(TAG.octetString, bytes)
export const boolean = (value: boolean): Buffer => der(TAG.boolean, Buffer.from([value ? 0xff : 0]))
export const utf8 = (text: string): Buffer => der(TAG.utf8String, Buffer.from(text, 'utf8'))
/** `unused` is the number of trailing bits that do not count. */
export const bitString = (bytes: Buffer, unused = 0): Buffer => der(TAG.bitString, Buffer.from([unused]), bytes)
/** [n] EXPLICIT, or [n] IMPLICIT of something constructed. */
export const context = (n: number, ...contents: Buffer[]): Buffer => der(0xa0 | n, ...contents)
/** [n] IMPLICIT of something primitive. */
export const contextPrimitive = (n: number, bytes: Buffer): Buffer => der(0x80 | n, bytes)

/** An unsigned big-endian number of any length. */
export function integer(magnitude: Buffer): Buffer {
  let start = 0
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++
  const shortest = magnitude.subarray(start)
  return ((shortest[0] ?? 0) & 0x80) !== 0 ? der(TAG.integer, Buffer.from([0]), shortest) : der(TAG.integer, shortest)
}

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const septets = [arc & 0x7f]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) septets.unshift((left & 0x7f) | 0x80)
    return septets
  })
  return der(TAG.oid, Buffer.from(bytes))
}

/** UTCTime until 2049, GeneralizedTime after (RFC 5280 4.1.2.5). Sub-seconds are cut. */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z').replace(/[-:T]/g, '')
  const year = Number(digits.slice(0, 4))
  return year >= 1950 && year < 2050 ? der(TAG.utcTime, Buffer.from(digits.slice(2), 'latin1')) : der(TAG.generalizedTime, Buffer.from(digits, 'latin1'))
}

function lengthBytes(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const bytes: number[] = []
  for (let left = length; left > 0; left = Math.floor(left / 256)) bytes.unshift(left % 256)
  return Buffer.from([0x80 | bytes.length, ...bytes])
}
