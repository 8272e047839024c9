/** Messages, field by field as their plan says: to the plain object that JSON would give, and back. */
import type { FieldPlan, MessagePlan, ValueCodec } from './codec.ts'
import { eachField, readTag } from './scalars.ts'
import { WireError, WireReader, type WireWriter } from '#base/protobuf/wire.ts'

type Json = Record<string, unknown>
type Field = FieldPlan & { kind: 'field' }

/** Reads up to the end of the reader's open message. Throws WireError. */
export function readMessage(reader: WireReader, plan: MessagePlan, into: Json): Json {
  while (reader.at < reader.end) {
    const { number, wire } = readTag(reader, plan.name)
    const field = plan.byNumber[number]
    if (field === undefined) reader.skip(wire)
    else if (field.kind === 'inline') {
      if (wire !== 2) throw wrongType(wire, field.plan.name)
      const outer = reader.open()
      readMessage(reader, field.plan, into)
      reader.close(outer)
    } else readField(reader, field, wire, into)
  }
  return into
}

const wrongType = (wire: number, name: string): WireError => new WireError(`proto: wrong wireType = ${wire} for field ${name.slice(0, 1).toUpperCase()}${name.slice(1)}`)

function readField(reader: WireReader, field: Field, wire: number, into: Json): void {
  const { key, codec } = field
  switch (field.shape) {
    case 'one': {
      if (wire !== codec.wire) throw wrongType(wire, key)
      const value = codec.read(reader, into[key])
      if (value === undefined || value === null || (value === codec.zero && !field.keepZero)) delete into[key]
      else into[key] = value
      return
    }
    case 'list': {
      const list = (into[key] ??= []) as unknown[]
      if (wire === codec.wire) list.push(codec.read(reader, undefined) ?? null)
      else if (wire === 2) readPacked(reader, codec, list)
      else throw wrongType(wire, key)
      return
    }
    case 'map':
      if (wire !== 2) throw wrongType(wire, key)
      readEntry(reader, codec, (into[key] ??= {}) as Json)
  }
}

/** Numbers and booleans of one list may come in one piece. */
function readPacked(reader: WireReader, codec: ValueCodec, list: unknown[]): void {
  const outer = reader.open()
  while (reader.at < reader.end) list.push(codec.read(reader, undefined))
  reader.close(outer)
}

/** Any type's zero: no bytes, the number 0, an empty message. */
const ZEROS = Buffer.alloc(8)

/** `{key=1, value=2}`. A value left out is the type's zero. */
function readEntry(reader: WireReader, codec: ValueCodec, map: Json): void {
  let key = ''
  let value: unknown
  const outer = reader.open()
  eachField(reader, 'MapEntry', (number, wire) => {
    if (number === 1 && wire === 2) key = reader.string()
    else if (number === 2 && wire === codec.wire) value = codec.read(reader, value)
    else return false
    return true
  })
  reader.close(outer)
  // Defined, not assigned: `__proto__` is a key like any other.
  Object.defineProperty(map, key, { value: value ?? codec.read(new WireReader(ZEROS, 1), undefined) ?? null, enumerable: true, configurable: true, writable: true })
}

/** Members the plan does not know (kind and apiVersion among them), null and undefined are left out. */
export function writeMessage(writer: WireWriter, plan: MessagePlan, object: Json): void {
  for (let number = plan.byNumber.length - 1; number > 0; number--) {
    const field = plan.byNumber[number]
    if (field === undefined) continue
    if (field.kind === 'inline') {
      const before = writer.size
      writeMessage(writer, field.plan, object)
      writer.length(before)
      writer.tag(number, 2)
      continue
    }
    const value = Object.hasOwn(object, field.key) ? object[field.key] : undefined
    if (value !== undefined && value !== null) writeField(writer, field, value)
  }
}

export function writeField(writer: WireWriter, { number, shape, codec }: Field, value: unknown): void {
  switch (shape) {
    case 'one':
      codec.write(writer, value)
      writer.tag(number, codec.wire)
      return
    case 'list':
      for (const item of (value as readonly unknown[]).toReversed()) {
        codec.write(writer, item)
        writer.tag(number, codec.wire)
      }
      return
    case 'map':
      for (const key of Object.keys(value as Json).toSorted(byBytes).reverse()) {
        const before = writer.size
        codec.write(writer, (value as Json)[key])
        writer.tag(2, codec.wire)
        writer.string(key)
        writer.tag(1, 2)
        writer.length(before)
        writer.tag(number, 2)
      }
  }
}

/** As Go sorts texts: by their UTF-8, which puts what lies beyond 16 bits last. */
export function byBytes(a: string, b: string): number {
  const size = Math.min(a.length, b.length)
  for (let i = 0; i < size; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (x !== y) return x >= SURROGATES && y >= SURROGATES ? afterSurrogates(x) - afterSurrogates(y) : x - y
  }
  return a.length - b.length
}

const SURROGATES = 0xd800
const SURROGATES_END = 0xe000
const afterSurrogates = (unit: number): number => (unit < SURROGATES_END ? unit + 0x10000 : unit)
