/**
 * OpenAPI v2 documents as gnostic's protobuf (openapi.v2.Document), which Go clients up to kubectl 1.26 ask for and
 * cannot do without. One table of field numbers; the document is the one served as JSON. Values of any type (extensions,
 * defaults) travel as YAML text, of which JSON is a part. Keys the table does not know are left out. Pure.
 */
import { WireWriter } from '../protobuf/index.ts'

type Json = Readonly<Record<string, unknown>>
/** Writes the content of one message. The writer goes backwards: last field first. */
type Content = (writer: WireWriter, value: unknown) => void
/** Writes a field, tag and all. */
type Field = (writer: WireWriter, number: number, value: unknown) => void

const string: Field = (writer, number, value) => {
  if (typeof value !== 'string' || value === '') return
  writer.string(value)
  writer.tag(number, 2)
}
const bool: Field = (writer, number, value) => {
  if (value !== true) return
  writer.bool(true)
  writer.tag(number, 0)
}
const integer: Field = (writer, number, value) => {
  if (typeof value !== 'number' || value === 0) return
  writer.int(value)
  writer.tag(number, 0)
}
const double: Field = (writer, number, value) => {
  if (typeof value !== 'number' || value === 0) return
  writer.double(value)
  writer.tag(number, 1)
}

/** A field that is a message. */
const one = (content: Content): Field => (writer, number, value) => {
  const before = writer.size
  content(writer, value)
  writer.length(before)
  writer.tag(number, 2)
}

const repeated = (field: Field): Field => (writer, number, value) => {
  const items = Array.isArray(value) ? (value as unknown[]) : [value]
  for (const item of items.toReversed()) field(writer, number, item)
}

interface Entry { number: number; field: Field }
type Table = Readonly<Record<string, readonly [number: number, field: Field]>>

/** `extensions`: number of the field that takes the `x-` keys. */
function message(table: () => Table, extensions?: number): Content {
  let entries: ReadonlyMap<string, Entry> | undefined
  return (writer, value) => {
    // Built at first use: schemas contain schemas.
    entries ??= new Map(Object.entries(table()).map(([key, [number, field]]) => [key, { number, field }]))
    for (const [key, inner] of Object.entries(value as Json).toReversed()) {
      const entry = entries.get(key)
      if (entry) entry.field(writer, entry.number, inner)
      else if (extensions !== undefined && key.startsWith('x-')) namedAny(writer, extensions, [key, inner])
    }
  }
}

/** `{name=1, value=2}`, gnostic's map entries. */
const named = (value: Field): Field => one((writer, entry) => {
  const [name, inner] = entry as [string, unknown]
  value(writer, 2, inner)
  string(writer, 1, name)
})

/** A message whose only field, of this number, is a map. */
const map = (value: Field, number = 1): Content => {
  const entry = named(value)
  return (writer, object) => {
    for (const pair of Object.entries(object as Json).toReversed()) entry(writer, number, pair)
  }
}

/** One of a oneof's members, or the only field of a message. */
const wrapped = (number: number, field: Field): Content => (writer, value) => field(writer, number, value)

const any: Field = one((writer, value) => string(writer, 2, JSON.stringify(value)))
const namedAny = named(any)
const strings = repeated(string)

const primitives = (first: number, items: () => Field): Table => {
  const keys: [string, Field][] = [
    ['type', string], ['format', string], ['items', items()], ['collectionFormat', string], ['default', any], ['maximum', double], ['exclusiveMaximum', bool], ['minimum', double], ['exclusiveMinimum', bool],
    ['maxLength', integer], ['minLength', integer], ['pattern', string], ['maxItems', integer], ['minItems', integer], ['uniqueItems', bool], ['enum', repeated(any)], ['multipleOf', double],
  ]
  return Object.fromEntries(keys.map(([key, field], i): [string, [number, Field]] => [key, [first + i, field]]))
}
const primitiveItems: Content = message(() => primitives(1, () => one(primitiveItems)), 18)

const externalDocs = message(() => ({ description: [1, string], url: [2, string] }), 3)

const schema: Content = message(() => ({
  $ref: [1, string], format: [2, string], title: [3, string], description: [4, string], default: [5, any], multipleOf: [6, double], maximum: [7, double], exclusiveMaximum: [8, bool], minimum: [9, double],
  exclusiveMinimum: [10, bool], maxLength: [11, integer], minLength: [12, integer], pattern: [13, string], maxItems: [14, integer], minItems: [15, integer], uniqueItems: [16, bool], maxProperties: [17, integer],
  minProperties: [18, integer], required: [19, strings], enum: [20, repeated(any)], additionalProperties: [21, one(additionalProperties)], type: [22, one(wrapped(1, strings))],
  items: [23, one(wrapped(1, repeated(one(schema))))], allOf: [24, repeated(one(schema))], properties: [25, one(map(one(schema)))], discriminator: [26, string], readOnly: [27, bool], externalDocs: [29, one(externalDocs)], example: [30, any],
}), 31)

function additionalProperties(writer: WireWriter, value: unknown): void {
  if (typeof value !== 'boolean') return one(schema)(writer, 1, value)
  // A oneof's member is there even when it is false.
  writer.bool(value)
  return writer.tag(2, 0)
}

/** Numbers differ by place: only a query and a form may leave the value empty. */
const place = (allowsEmpty: boolean): Content => {
  const next = allowsEmpty ? 6 : 5
  return message(() => ({ required: [1, bool], in: [2, string], description: [3, string], name: [4, string], ...(allowsEmpty && { allowEmptyValue: [5, bool] as const }), ...primitives(next, () => one(primitiveItems)) }), next + 17)
}
const bodyParameter = message(() => ({ description: [1, string], name: [2, string], in: [3, string], required: [4, bool], schema: [5, one(schema)] }), 6)
const PLACES: Readonly<Record<string, Content>> = { header: wrapped(1, one(place(false))), formData: wrapped(2, one(place(true))), query: wrapped(3, one(place(true))), path: wrapped(4, one(place(false))) }

const reference = message(() => ({ $ref: [1, string], description: [2, string] }))
const parameter: Content = (writer, value) => {
  const where = String((value as Json)['in'])
  if (where === 'body') return one(bodyParameter)(writer, 1, value)
  const content = PLACES[where]
  if (content) one(content)(writer, 2, value)
}
/** A thing or a reference to one. */
const orReference = (content: Content): Content => (writer, value) => (Object.hasOwn(value as Json, '$ref') ? one(reference)(writer, 2, value) : one(content)(writer, 1, value))
const parameters = repeated(one(orReference(parameter)))

const header = message(() => ({ ...primitives(1, () => one(primitiveItems)), description: [18, string] }), 19)
const response = message(() => ({ description: [1, string], schema: [2, one(wrapped(1, one(schema)))], headers: [3, one(map(one(header)))], examples: [4, one(map(any))] }), 5)
/** Extensions have the number 2 here, and codes 1. */
const responses: Content = map(one(orReference(response)))
const security = repeated(one(map(one(wrapped(1, strings)))))

const operation = message(() => ({
  tags: [1, strings], summary: [2, string], description: [3, string], externalDocs: [4, one(externalDocs)], operationId: [5, string], produces: [6, strings], consumes: [7, strings], parameters: [8, parameters],
  responses: [9, one(responses)], schemes: [10, strings], deprecated: [11, bool], security: [12, security],
}), 13)
const pathItem = message(() => ({
  $ref: [1, string], get: [2, one(operation)], put: [3, one(operation)], post: [4, one(operation)], delete: [5, one(operation)], options: [6, one(operation)], head: [7, one(operation)], patch: [8, one(operation)], parameters: [9, parameters],
}), 10)

const apiKey = message(() => ({ type: [1, string], name: [2, string], in: [3, string], description: [4, string] }), 5)
const info = message(() => ({ title: [1, string], version: [2, string], description: [3, string] }), 7)
const document = message(() => ({
  swagger: [1, string], info: [2, one(info)], host: [3, string], basePath: [4, string], schemes: [5, strings], consumes: [6, strings], produces: [7, strings], paths: [8, one(map(one(pathItem), 2))],
  definitions: [9, one(map(one(schema)))], parameters: [10, one(map(one(parameter)))], security: [12, security], securityDefinitions: [13, one(map(one(wrapped(2, one(apiKey)))))],
}), 16)

/** The bytes of a swagger 2.0 document: what JSON says of it, about half the size. */
export function encodeOpenApiV2(value: unknown): Buffer {
  const writer = new WireWriter()
  document(writer, value)
  return writer.finish()
}
