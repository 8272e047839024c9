/** Messages out of JSON text, field by field as their plan says, with no object in between: the twin of writeMessage. */
import type { WireWriter } from '#base/protobuf/wire.ts'
import type { FieldPlan, MessagePlan, ValueCodec } from './codec.ts'
import { KIND, type JsonTape } from './json-tape.ts'
import { byBytes, writeField } from './message.ts'

/** `node`: an object's. Members the plan does not know (kind and apiVersion among them) and null are left out. */
export function transcodeMessage(writer: WireWriter, plan: MessagePlan, tape: JsonTape, node: number): void {
  const fields: FieldPlan[] = []
  const values: number[] = []
  for (const inline of plan.inlines) insert(fields, values, inline, node)
  for (let key = tape.first(node); key < tape.after(node);) {
    const value = tape.valueOf(key)
    const known = tape.kind(value) === KIND.null ? undefined : plan.byKey.get(tape.hash(key))
    if (known && tape.is(key, known.key)) insert(fields, values, known.field, value)
    key = tape.after(value)
  }
  for (let i = fields.length - 1; i >= 0; i--) {
    const field = fields[i] as FieldPlan
    const value = values[i] as number
    if (field.kind === 'field') transcodeField(writer, field, tape, value)
    else {
      const before = writer.size
      transcodeMessage(writer, field.plan, tape, value)
      writer.length(before)
      writer.tag(field.number, 2)
    }
  }
}

/** Keeps the fields in order of their numbers, which is nearly that of the text. */
function insert(fields: FieldPlan[], values: number[], field: FieldPlan, value: number): void {
  let at = fields.length
  while (at > 0 && (fields[at - 1] as FieldPlan).number > field.number) {
    fields[at] = fields[at - 1] as FieldPlan
    values[at] = values[at - 1] as number
    at--
  }
  fields[at] = field
  values[at] = value
}

function transcodeField(writer: WireWriter, field: FieldPlan & { kind: 'field' }, tape: JsonTape, node: number): void {
  const { number, shape, codec } = field
  const kind = tape.kind(node)
  if (shape === 'one') {
    transcodeValue(writer, codec, tape, node)
    writer.tag(number, codec.wire)
  } else if (shape === 'list' && kind === KIND.list) {
    for (const item of within(tape, node).reverse()) {
      transcodeValue(writer, codec, tape, item)
      writer.tag(number, codec.wire)
    }
  } else if (shape === 'map' && kind === KIND.object) transcodeMap(writer, number, codec, tape, node)
  else writeField(writer, field, tape.parse(node))
}

/** The values of a list. */
function within(tape: JsonTape, list: number): number[] {
  const items: number[] = []
  for (let item = tape.first(list); item < tape.after(list); item = tape.after(item)) items.push(item)
  return items
}

function transcodeMap(writer: WireWriter, number: number, codec: ValueCodec, tape: JsonTape, node: number): void {
  for (const key of sortedKeys(tape, node).reverse()) {
    const before = writer.size
    transcodeValue(writer, codec, tape, tape.valueOf(key))
    writer.tag(2, codec.wire)
    writeText(writer, tape, key)
    writer.tag(1, 2)
    writer.length(before)
    writer.tag(number, 2)
  }
}

/** By their bytes, as Go sorts texts. */
function sortedKeys(tape: JsonTape, node: number): number[] {
  const keys: number[] = []
  let hasEscapes = false
  for (let key = tape.first(node); key < tape.after(node); key = tape.after(tape.valueOf(key))) {
    keys.push(key)
    hasEscapes ||= tape.kind(key) === KIND.escaped
  }
  const compare = hasEscapes
    ? (a: number, b: number) => byBytes(tape.parse(a) as string, tape.parse(b) as string)
    : (a: number, b: number) => tape.bytes.compare(tape.bytes, tape.start(b) + 1, tape.end(b) - 1, tape.start(a) + 1, tape.end(a) - 1)
  return keys.length < 2 ? keys : keys.sort(compare)
}

function transcodeValue(writer: WireWriter, codec: ValueCodec, tape: JsonTape, node: number): void {
  if (codec.transcode?.(writer, tape, node) !== true) codec.write(writer, tape.parse(node))
}

/** A text with its length. */
export function writeText(writer: WireWriter, tape: JsonTape, node: number): void {
  if (tape.kind(node) === KIND.text) writer.slice(tape.bytes, tape.start(node) + 1, tape.end(node) - 1)
  else writer.string(tape.parse(node) as string)
}
