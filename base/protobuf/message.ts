/**
 * Protobuf messages (proto3) as tables from which both the codec and the TypeScript types follow:
 * `message({ name: string(1), ports: list(2, Port) })`. Read, every field is there: zero values, empty lists and maps, and
 * undefined for a message that was not sent. Written, fields may be left out, and zero values are not written.
 */
import { WireError, WireReader, WireWriter } from './wire.ts'

type Scalar = 'string' | 'int' | 'bool' | 'bytes'
type Kind = Scalar | 'message' | 'map'

/** `out` and `in` exist for the compiler alone. */
export interface Field<Out, In> { readonly number: number; readonly kind: Kind; readonly repeated: boolean; readonly of: Message<unknown, unknown> | undefined; readonly out?: Out; readonly in?: In }
type Fields = Readonly<Record<string, Field<unknown, unknown>>>

export interface Message<Out, In> { readonly fields: Fields; readonly byNumber: ReadonlyMap<number, { name: string; field: Field<unknown, unknown> }>; readonly out?: Out; readonly in?: In }

type OutOf<F> = F extends Field<infer Out, unknown> ? Out : never
type InOf<F> = F extends Field<unknown, infer In> ? In : never
/** What reading a message gives. */
export type Read<M> = M extends Message<infer Out, unknown> ? Out : never
/** What writing a message takes. */
export type Written<M> = M extends Message<unknown, infer In> ? In : never

const field = <Out, In>(number: number, kind: Kind, repeated = false, of?: Message<unknown, unknown>): Field<Out, In> => ({ number, kind, repeated, of })

export const string = (number: number): Field<string, string> => field(number, 'string')
/** Any integer or enum; beyond 2^53 the nearest number. */
export const int = (number: number): Field<number, number> => field(number, 'int')
export const bool = (number: number): Field<boolean, boolean> => field(number, 'bool')
export const bytes = (number: number): Field<Buffer, Uint8Array> => field(number, 'bytes')
export const strings = (number: number): Field<string[], readonly string[]> => field(number, 'string', true)
export const ints = (number: number): Field<number[], readonly number[]> => field(number, 'int', true)
/** map<string, string> */
export const map = (number: number): Field<Record<string, string>, Readonly<Record<string, string>>> => field(number, 'map')
export const one = <Out, In>(number: number, of: Message<Out, In>): Field<Out | undefined, In> => field(number, 'message', false, of)
export const list = <Out, In>(number: number, of: Message<Out, In>): Field<Out[], readonly In[]> => field(number, 'message', true, of)

export function message<F extends Fields>(fields: F): Message<{ [K in keyof F]: OutOf<F[K]> }, { readonly [K in keyof F]?: InOf<F[K]> | undefined }> {
  return { fields, byNumber: new Map(Object.entries(fields).map(([name, f]) => [f.number, { name, field: f }])) }
}

/** Messages within messages; Kubernetes' own need six. */
const DEPTH_MAX = 32

/** Throws WireError for what is no such message. Fields nobody knows are passed over. */
export function decode<Out>(type: Message<Out, unknown>, data: Buffer): Out {
  return read(type, new WireReader(data, DEPTH_MAX)) as Out
}

function read(type: Message<unknown, unknown>, reader: WireReader): unknown {
  const value: Record<string, unknown> = {}
  for (const [name, f] of Object.entries(type.fields)) value[name] = zeroOf(f)
  while (reader.at < reader.end) {
    const tag = reader.int64()
    const wire = tag % 8
    const known = type.byNumber.get(Math.floor(tag / 8))
    if (!known) {
      reader.skip(wire)
      continue
    }
    const { name, field: f } = known
    const expected = f.kind === 'int' || f.kind === 'bool' ? 0 : 2
    if (f.repeated && f.kind === 'int' && wire === 2) {
      const outer = reader.open()
      while (reader.at < reader.end) (value[name] as unknown[]).push(reader.int64())
      reader.close(outer)
      continue
    }
    if (wire !== expected) throw new WireError(`proto: wrong wireType = ${wire} for field ${name}`)
    if (f.kind === 'map') {
      const outer = reader.open()
      const entry = read(ENTRY, reader) as { key: string; value: string }
      reader.close(outer)
      // Own properties only: a key may be __proto__.
      Object.defineProperty(value[name], entry.key, { value: entry.value, enumerable: true, configurable: true, writable: true })
      continue
    }
    const item = readOne(f, reader)
    if (f.repeated) (value[name] as unknown[]).push(item)
    else value[name] = item
  }
  return value
}

function readOne(f: Field<unknown, unknown>, reader: WireReader): unknown {
  switch (f.kind) {
    case 'string': return reader.string()
    case 'int': return reader.int64()
    case 'bool': return reader.bool()
    case 'bytes': return Buffer.from(reader.slice())
    case 'message':
    case 'map': {
      const outer = reader.open()
      const value = read(f.of ?? ENTRY, reader)
      reader.close(outer)
      return value
    }
  }
}

function zeroOf(f: Field<unknown, unknown>): unknown {
  if (f.repeated) return []
  switch (f.kind) {
    case 'string': return ''
    case 'int': return 0
    case 'bool': return false
    case 'bytes': return Buffer.alloc(0)
    case 'map': return {}
    case 'message': return undefined
  }
}

const ENTRY = message({ key: string(1), value: string(2) })

export function encode<In>(type: Message<unknown, In>, value: In): Buffer {
  const writer = new WireWriter()
  write(type, value as Readonly<Record<string, unknown>>, writer)
  return writer.finish()
}

/** Backwards, as the writer goes: the last field first, the last item of a list first. */
function write(type: Message<unknown, unknown>, value: Readonly<Record<string, unknown>>, writer: WireWriter): void {
  for (const [name, f] of Object.entries(type.fields).toSorted(([, a], [, b]) => b.number - a.number)) {
    const item = value[name]
    if (item === undefined || item === null) continue
    if (f.kind === 'map') {
      for (const [key, text] of Object.entries(item as Record<string, string>).toReversed()) writeOne({ ...f, kind: 'message', of: ENTRY }, { key, value: text }, writer)
    } else if (f.repeated) {
      for (const each of (item as readonly unknown[]).toReversed()) writeOne(f, each, writer)
    } else if (!isZero(item)) {
      writeOne(f, item, writer)
    }
  }
}

function isZero(item: unknown): boolean {
  return item === '' || item === 0 || item === false || (item instanceof Uint8Array && item.length === 0)
}

function writeOne(f: Field<unknown, unknown>, item: unknown, writer: WireWriter): void {
  switch (f.kind) {
    case 'string':
      writer.string(item as string)
      return writer.tag(f.number, 2)
    case 'int':
      writer.int(item as number)
      return writer.tag(f.number, 0)
    case 'bool':
      writer.bool(item as boolean)
      return writer.tag(f.number, 0)
    case 'bytes':
      writer.bytes(item as Uint8Array)
      return writer.tag(f.number, 2)
    case 'message':
    case 'map': {
      const before = writer.size
      write(f.of ?? ENTRY, item as Readonly<Record<string, unknown>>, writer)
      writer.length(before)
      return writer.tag(f.number, 2)
    }
  }
}
