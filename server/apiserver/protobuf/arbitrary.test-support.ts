/** Random objects of a model, as fast-check arbitraries made from the schema. */
import fc from 'fast-check'
import { builtinSchema, type FieldType, type ScalarType } from '#api/schema/index.ts'
import { protobufFields } from '#api/schema/protobuf-fields.ts'
import { parseNumbers } from './message-plan.ts'

/** Types contain themselves (JSONSchemaProps): below this depth messages are empty. */
const DEPTH_MAX = 5

const text = fc.oneof(fc.string({ minLength: 1, maxLength: 6 }), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }), fc.constantFrom('__proto__', 'constructor', 'a/b'))
const seconds = fc.integer({ min: -62_135_596_799, max: 253_402_300_799 })

/** No zero values: those are kept or dropped by the field they are in. */
const SCALARS: Readonly<Record<ScalarType, fc.Arbitrary<unknown>>> = {
  string: text,
  boolean: fc.constant(true),
  int32: fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }).filter((n) => n !== 0),
  int64: fc.maxSafeInteger().filter((n) => n !== 0),
  double: fc.double({ noNaN: true, noDefaultInfinity: true }).filter((n) => n !== 0),
  byte: fc.uint8Array({ minLength: 1, maxLength: 9 }).map((b) => Buffer.from(b).toString('base64')),
  'date-time': seconds.map((s) => `${new Date(s * 1000).toISOString().slice(0, 19)}Z`),
  'micro-time': fc.tuple(seconds, fc.integer({ min: 0, max: 999_999 })).map(([s, micros]) => `${new Date(s * 1000).toISOString().slice(0, 19)}.${String(micros).padStart(6, '0')}Z`),
  quantity: fc.constantFrom('1', '1500m', '2Gi', '0', '1e3'),
  'int-or-string': fc.oneof(fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }), fc.constantFrom('', '25%', 'http')),
}

const ZEROS: Partial<Record<ScalarType, unknown>> = { string: '', boolean: false, int32: 0, int64: 0, double: 0, byte: '' }

const keepers = new Set(protobufFields().split('\n').flatMap((line) => parseNumbers(line).filter((f) => f.keepZero).map((f) => `${line.split(' ', 1)[0]}.${f.key}`)))
const isOnWire = (model: string, key: string): boolean => (key !== 'kind' && key !== 'apiVersion') || onWire.has(`${model}.${key}`)
const onWire = new Set(protobufFields().split('\n').flatMap((line) => parseNumbers(line).map((f) => `${line.split(' ', 1)[0]}.${f.key}`)))

/** Objects that are the same after a way over the wire: empty lists and maps, and zeros that say nothing, are not among them. */
export function objectOf(model: string, depth = 0): fc.Arbitrary<Record<string, unknown>> {
  if (depth > DEPTH_MAX) return fc.constant({})
  const fields: Record<string, fc.Arbitrary<unknown>> = {}
  for (const [key, { type }] of Object.entries(builtinSchema.model(model)?.fields ?? {})) {
    if (!isOnWire(model, key)) continue
    const value = valueOf(type, depth + 1)
    const zero = type.kind === 'scalar' ? ZEROS[type.scalar] : undefined
    fields[key] = keepers.has(`${model}.${key}`) && zero !== undefined ? fc.oneof(value, fc.constant(zero)) : value
  }
  return fc.record(fields, { requiredKeys: [], noNullPrototype: true })
}

/** Elements of lists and values of maps keep their zeros. */
const elementOf = (type: FieldType, depth: number): fc.Arbitrary<unknown> => {
  const zero = type.kind === 'scalar' ? ZEROS[type.scalar] : undefined
  return zero === undefined ? valueOf(type, depth) : fc.oneof(valueOf(type, depth), fc.constant(zero))
}

function valueOf(type: FieldType, depth: number): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'scalar': return SCALARS[type.scalar]
    case 'ref': return fc.constant(null).chain(() => objectOf(type.model, depth))
    case 'list': return fc.array(elementOf(type.items, depth), { minLength: 1, maxLength: 2 })
    case 'map': return fc.uniqueArray(fc.tuple(text, elementOf(type.values, depth)), { minLength: 1, maxLength: 2, selector: ([key]) => key }).map((entries) => Object.fromEntries(entries))
    case 'any': return freeForm(type.definition ?? '', depth)
  }
}

function freeForm(definition: string, depth: number): fc.Arbitrary<unknown> {
  const schema = () => fc.constant(null).chain(() => objectOf('JSONSchemaProps', depth))
  switch (definition.slice(definition.lastIndexOf('.') + 1)) {
    case 'JSONSchemaPropsOrBool': return fc.oneof(fc.boolean(), schema())
    case 'JSONSchemaPropsOrArray': return fc.oneof(schema(), fc.array(schema(), { minLength: 1, maxLength: 2 }))
    case 'JSONSchemaPropsOrStringArray': return fc.oneof(schema(), fc.array(fc.string(), { minLength: 1, maxLength: 2 }))
    // JSON text knows no -0.
    default: return fc.jsonValue({ maxDepth: 2 }).map((v) => JSON.parse(JSON.stringify(v)) as unknown).filter((v) => v !== null)
  }
}
