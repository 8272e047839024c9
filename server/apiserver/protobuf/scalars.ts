/** The schema's scalar types on the wire, the messages that stand for one value among them. */
import type { ScalarType } from '#api/schema/index.ts'
import type { ValueCodec } from './codec.ts'
import { WireError, type WireReader, type WireWriter } from '#base/protobuf/wire.ts'
import { KIND, type JsonTape } from './json-tape.ts'

const string: ValueCodec = {
  wire: 2, zero: '',
  read: (reader) => reader.string(),
  write: (writer, value) => writer.string(value as string),
  transcode: (writer, tape, node) => {
    if (tape.kind(node) !== KIND.text) return false
    writer.slice(tape.bytes, tape.start(node) + 1, tape.end(node) - 1)
    return true
  },
}

const int32: ValueCodec = {
  wire: 0, zero: 0,
  read: (reader) => reader.int32(),
  write: (writer, value) => writer.int(value as number),
  transcode: (writer, tape, node) => {
    const value = smallInteger(tape, node)
    if (value < 0) return false
    writer.int(value)
    return true
  },
}

/** -1: anything but a few digits. */
function smallInteger(tape: JsonTape, node: number): number {
  const end = tape.end(node)
  let value = 0
  let at = tape.start(node)
  if (tape.kind(node) !== KIND.number || end - at > SMALL_DIGITS) return -1
  for (; at < end; at++) {
    const digit = (tape.bytes[at] as number) - ZERO
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value
}

const SMALL_DIGITS = 9
const ZERO = 0x30

const int64: ValueCodec = { ...int32, read: (reader) => reader.int64() }

const boolean: ValueCodec = {
  wire: 0, zero: false,
  read: (reader) => reader.bool(),
  write: (writer, value) => writer.bool(value as boolean),
  transcode: (writer, tape, node) => {
    writer.bool(tape.kind(node) === KIND.true)
    return true
  },
}

const double: ValueCodec = {
  wire: 1, zero: 0,
  read: (reader) => {
    const value = reader.double()
    if (!Number.isFinite(value)) throw new WireError(`json: unsupported value: ${value}`)
    return value
  },
  write: (writer, value) => writer.double(value as number),
}

/** JSON: base64. */
const byte: ValueCodec = {
  wire: 2, zero: '',
  read: (reader) => reader.slice().toString('base64'),
  write: (writer, value) => writer.bytes(Buffer.from(value as string, 'base64')),
}

/** Years that RFC 3339 can write: 0000 to 9999. */
const SECONDS_MIN = -62_167_219_200
const SECONDS_MAX = 253_402_300_799
/** Go's zero time, year 1, which JSON shows as null. */
const SECONDS_NIL = -62_135_596_800

/** `{seconds=1, nanos=2}`; nothing at all is the nil time. A Time is read in whole seconds, a MicroTime in microseconds, as upstream's. */
function time(micro: boolean): ValueCodec {
  return {
    wire: 2,
    read: (reader) => {
      const outer = reader.open()
      const isNil = reader.at === reader.end
      let seconds = 0
      let nanos = 0
      eachField(reader, 'Timestamp', (number, wire) => {
        if (number > 2 || wire !== 0) return false
        if (number === 1) seconds = reader.int64()
        else nanos = reader.int32()
        return true
      })
      reader.close(outer)
      if (!micro) nanos = 0
      seconds += Math.floor(nanos / 1e9)
      nanos -= Math.floor(nanos / 1e9) * 1e9
      if (isNil || (seconds === SECONDS_NIL && nanos === 0)) return undefined
      if (seconds < SECONDS_MIN || seconds > SECONDS_MAX) throw new WireError('Time.MarshalJSON: year outside of range [0,9999]')
      const text = new Date(seconds * 1000).toISOString().slice(0, 19)
      return micro ? `${text}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z` : `${text}Z`
    },
    write: (writer, value) => {
      const text = value as string
      const before = writer.size
      writer.int(micro ? Number((/\.(\d+)/.exec(text)?.[1] ?? '').slice(0, 9).padEnd(9, '0')) : 0)
      writer.tag(2, 0)
      writer.int(Math.floor(Date.parse(text) / 1000))
      writer.tag(1, 0)
      writer.length(before)
    },
    transcode: (writer, tape, node) => {
      const seconds = micro ? -1 : wholeSeconds(tape, node)
      if (seconds < 0) return false
      const before = writer.size
      writer.int(0)
      writer.tag(2, 0)
      writer.int(seconds)
      writer.tag(1, 0)
      writer.length(before)
      return true
    },
  }
}

/** Of `"2026-11-22T10:00:00Z"`, since 1970; -1: any other form, or before. That there is such a day was seen when it was stored. */
function wholeSeconds(tape: JsonTape, node: number): number {
  const { bytes } = tape
  const at = tape.start(node) + 1
  if (tape.end(node) - at !== TIME_BYTES + 1 || bytes[at + TIME_BYTES - 1] !== ZULU) return -1
  const two = (from: number): number => ((bytes[at + from] as number) - ZERO) * 10 + (bytes[at + from + 1] as number) - ZERO
  const year = two(0) * 100 + two(2)
  // Date.UTC takes the years before 100 for those of a later century.
  return year < 1970 ? -1 : Date.UTC(year, two(5) - 1, two(8), two(11), two(14), two(17)) / 1000
}

const TIME_BYTES = 20
const ZULU = 0x5a

/** `{string=1}`. */
const quantity: ValueCodec = {
  wire: 2,
  read: (reader) => {
    let text = '0'
    const outer = reader.open()
    eachField(reader, 'Quantity', (number, wire) => {
      if (number !== 1 || wire !== 2) return false
      text = reader.string()
      return true
    })
    reader.close(outer)
    return text
  },
  write: (writer, value) => {
    const before = writer.size
    writer.string(String(value))
    writer.tag(1, 2)
    writer.length(before)
  },
  transcode: (writer, tape, node) => {
    const before = writer.size
    if (string.transcode?.(writer, tape, node) !== true) return false
    writer.tag(1, 2)
    writer.length(before)
    return true
  },
}

/** `{type=1, intVal=2, strVal=3}`; type 1 is the string. */
const intOrString: ValueCodec = {
  wire: 2,
  read: (reader) => {
    let isString = false
    let number = 0
    let text = ''
    const outer = reader.open()
    eachField(reader, 'IntOrString', (field, wire) => {
      if (field > 3 || wire !== (field === 3 ? 2 : 0)) return false
      if (field === 1) isString = reader.int64() === 1
      else if (field === 2) number = reader.int32()
      else text = reader.string()
      return true
    })
    reader.close(outer)
    return isString ? text : number
  },
  write: (writer, value) => {
    const before = writer.size
    const isString = typeof value === 'string'
    writer.string(isString ? value : '')
    writer.tag(3, 2)
    writer.int(isString ? 0 : (value as number))
    writer.tag(2, 0)
    writer.int(isString ? 1 : 0)
    writer.tag(1, 0)
    writer.length(before)
  },
}

export const SCALAR_CODECS: Readonly<Record<ScalarType, ValueCodec>> = {
  string, boolean, int32, int64, double, byte, quantity, 'date-time': time(false), 'micro-time': time(true), 'int-or-string': intOrString,
}

/** `{items=1}`: Go's named lists of strings (ExtraValue, Verbs), which are messages where no plain list may be. */
export const wrappedStrings: ValueCodec = {
  wire: 2,
  read: (reader, before) => {
    const items: string[] = Array.isArray(before) ? (before as string[]) : []
    const outer = reader.open()
    eachField(reader, 'ExtraValue', (number, wire) => {
      if (number !== 1 || wire !== 2) return false
      items.push(reader.string())
      return true
    })
    reader.close(outer)
    return items
  },
  write: (writer, value) => {
    const before = writer.size
    writeStrings(writer, 1, value as readonly string[])
    writer.length(before)
  },
}

export function writeStrings(writer: WireWriter, number: number, texts: readonly string[]): void {
  for (let i = texts.length - 1; i >= 0; i--) {
    writer.string(texts[i] as string)
    writer.tag(number, 2)
  }
}

/** Every field of the open message; those that `read` does not take (it answers false, having read nothing) are passed over. */
export function eachField(reader: WireReader, message: string, read: (number: number, wire: number) => boolean): void {
  while (reader.at < reader.end) {
    const { number, wire } = readTag(reader, message)
    if (!read(number, wire)) reader.skip(wire)
  }
}

export function readTag(reader: WireReader, message: string): { number: number; wire: number } {
  reader.varint()
  const wire = reader.lo & 7
  const number = (reader.hi << 29) | (reader.lo >>> 3)
  if (wire === 4) throw new WireError(`proto: ${message}: wiretype end group for non-group`)
  if (number <= 0) throw new WireError(`proto: ${message}: illegal tag ${number} (wire type ${wire})`)
  return { number, wire }
}
