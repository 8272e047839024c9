/**
 * Free-form JSON on the wire: messages that carry JSON text, and the three unions of JSONSchemaProps, which JSON writes
 * as a boolean, an object or a list.
 */
import { explainJson, measureJson } from '../decode/json-scan.ts'
import type { ValueCodec } from './codec.ts'
import { eachField, writeStrings } from './scalars.ts'
import { WireError } from '#base/protobuf/wire.ts'

/** As deep as JSON bodies may be. */
const JSON_DEPTH_MAX = 500

/** By the definition's last name; `schemaProps` is the codec of JSONSchemaProps itself, asked for when one is met. */
export function freeFormCodec(definition: string | undefined, schemaProps: () => ValueCodec): ValueCodec {
  switch (definition?.slice(definition.lastIndexOf('.') + 1)) {
    case 'JSONSchemaPropsOrBool': return orBool(schemaProps)
    case 'JSONSchemaPropsOrArray': return orArray(schemaProps)
    case 'JSONSchemaPropsOrStringArray': return orStrings(schemaProps)
    default: return rawJson
  }
}

/** RawExtension, FieldsV1 and JSON: `{raw=1}`. */
const rawJson: ValueCodec = {
  wire: 2,
  read: (reader) => {
    let raw: Buffer | undefined
    const outer = reader.open()
    eachField(reader, 'RawExtension', (number, wire) => {
      if (number !== 1 || wire !== 2) return false
      raw = reader.slice()
      return true
    })
    reader.close(outer)
    return raw === undefined || raw.length === 0 ? null : parseJson(raw)
  },
  write: (writer, value) => {
    const before = writer.size
    writer.string(JSON.stringify(value))
    writer.tag(1, 2)
    writer.length(before)
  },
  // Compact text is what JSON.stringify would make of it.
  transcode: (writer, tape, node) => {
    const before = writer.size
    writer.slice(tape.bytes, tape.start(node), tape.end(node))
    writer.tag(1, 2)
    writer.length(before)
    return true
  },
}

function parseJson(raw: Buffer): unknown {
  if (measureJson(raw).depth > JSON_DEPTH_MAX) throw new WireError('exceeded max depth')
  const text = raw.toString()
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    const explained = explainJson(text)
    throw new WireError(explained.ok ? String(error) : explained.message)
  }
}

/** `{allows=1, schema=2}`. */
const orBool = (schemaProps: () => ValueCodec): ValueCodec => ({
  wire: 2,
  read: (reader) => {
    let allows = false
    let schema: unknown
    const outer = reader.open()
    eachField(reader, 'JSONSchemaPropsOrBool', (number, wire) => {
      if (number > 2 || wire !== (number === 1 ? 0 : 2)) return false
      if (number === 1) allows = reader.bool()
      else schema = schemaProps().read(reader, schema)
      return true
    })
    reader.close(outer)
    return schema ?? allows
  },
  write: (writer, value) => {
    const before = writer.size
    if (typeof value === 'object') {
      schemaProps().write(writer, value)
      writer.tag(2, 2)
    }
    writer.bool(value !== false)
    writer.tag(1, 0)
    writer.length(before)
  },
})

/** `{schema=1, jSONSchemas=2}`. */
const orArray = (schemaProps: () => ValueCodec): ValueCodec => ({
  wire: 2,
  read: (reader) => {
    const list: unknown[] = []
    let schema: unknown
    const outer = reader.open()
    eachField(reader, 'JSONSchemaPropsOrArray', (number, wire) => {
      if (number > 2 || wire !== 2) return false
      if (number === 1) schema = schemaProps().read(reader, schema)
      else list.push(schemaProps().read(reader, undefined))
      return true
    })
    reader.close(outer)
    return list.length > 0 ? list : (schema ?? null)
  },
  write: (writer, value) => {
    const before = writer.size
    if (Array.isArray(value)) {
      for (const item of value.toReversed()) {
        schemaProps().write(writer, item)
        writer.tag(2, 2)
      }
    } else if (value !== null) {
      schemaProps().write(writer, value)
      writer.tag(1, 2)
    }
    writer.length(before)
  },
})

/** `{schema=1, property=2}`. */
const orStrings = (schemaProps: () => ValueCodec): ValueCodec => ({
  wire: 2,
  read: (reader) => {
    const names: string[] = []
    let schema: unknown
    const outer = reader.open()
    eachField(reader, 'JSONSchemaPropsOrStringArray', (number, wire) => {
      if (number > 2 || wire !== 2) return false
      if (number === 1) schema = schemaProps().read(reader, schema)
      else names.push(reader.string())
      return true
    })
    reader.close(outer)
    return names.length > 0 ? names : (schema ?? null)
  },
  write: (writer, value) => {
    const before = writer.size
    if (Array.isArray(value)) writeStrings(writer, 2, value as string[])
    else if (value !== null) {
      schemaProps().write(writer, value)
      writer.tag(1, 2)
    }
    writer.length(before)
  },
})
