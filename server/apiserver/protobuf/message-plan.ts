/**
 * Joins the table of field numbers (api/schema/protobuf-fields.ts) with the schema's types. A plan is made when its model
 * is first met.
 */
import { kindOf, type FieldType, type SchemaSet } from '#api/schema/index.ts'
import type { FieldPlan, MessagePlan, ValueCodec } from './codec.ts'
import { freeFormCodec } from './free-form.ts'
import { keyHash } from './json-tape.ts'
import { messageCodec } from './message-codec.ts'
import { SCALAR_CODECS, wrappedStrings } from './scalars.ts'

export interface NumberedField { key: string; path: readonly number[]; keepZero: boolean; wrapped: boolean }

/** Undefined: the model has no form on the wire. */
export type Plans = (model: string) => MessagePlan | undefined

/** A line of the table; its format is described there. */
export function parseNumbers(line: string): NumberedField[] {
  let last: readonly number[] = [0]
  return line.split(' ').slice(1).map((text) => {
    const [, key = '', flag, path] = /^([^!*=]+)([!*]?)(?:=([\d.]+))?$/.exec(text) ?? []
    last = path === undefined ? [...last.slice(0, -1), (last.at(-1) ?? 0) + 1] : path.split('.').map(Number)
    return { key, path: last, keepZero: flag === '!', wrapped: flag === '*' }
  })
}

/** What is known of a type beyond the schema: it is JSON's only in other forms there. */
const META_ONLY: Readonly<Record<string, Readonly<Record<string, FieldType>>>> = {
  PartialObjectMetadata: { metadata: { kind: 'ref', model: 'ObjectMeta' } },
  PartialObjectMetadataList: { metadata: { kind: 'ref', model: 'ListMeta' }, items: { kind: 'list', listType: 'atomic', items: { kind: 'ref', model: 'PartialObjectMetadata' } } },
}

export function createPlans(schema: SchemaSet, table: () => string): Plans {
  const lines = new Map<string, string>()
  const made = new Map<string, MessagePlan>()
  const plans = (model: string): MessagePlan | undefined => {
    const known = made.get(model)
    if (known) return known
    const types = typesOf(model, schema)
    const line = lineOf(model, table, lines)
    if (types === undefined || line === undefined) return undefined
    const plan = planOf(kindOf(model), parseNumbers(line), (key) => codecOf(types(key), plans))
    made.set(model, plan)
    return plan
  }
  return plans
}

function typesOf(model: string, schema: SchemaSet): ((key: string) => FieldType) | undefined {
  const fields = schema.model(model)?.fields
  const extra = Object.hasOwn(META_ONLY, model) ? META_ONLY[model] : undefined
  if (!fields && !extra) return undefined
  return (key) => {
    const type = extra?.[key] ?? fields?.[key]?.type
    if (!type) throw new Error(`bug: the table of protobuf fields has ${model}.${key}, which no schema has`)
    return type
  }
}

function lineOf(model: string, table: () => string, lines: Map<string, string>): string | undefined {
  if (lines.size === 0) for (const line of table().split('\n')) lines.set(line.split(' ', 1)[0] ?? '', line)
  return lines.get(model) ?? (model.endsWith('List') ? `${model} metadata items` : model === 'PartialObjectMetadata' ? `${model} metadata` : undefined)
}

/** Fields that share a number of the outer message are those of an inline one. */
function planOf(name: string, fields: readonly NumberedField[], codec: (key: string) => FieldShape): MessagePlan {
  const byNumber: (FieldPlan | undefined)[] = []
  const inline = new Map<number, NumberedField[]>()
  for (const field of fields) {
    const { key, keepZero, wrapped } = field
    const [number = 0, ...rest] = field.path
    if (rest.length > 0) inline.set(number, [...(inline.get(number) ?? []), { ...field, path: rest }])
    else byNumber[number] = { kind: 'field', number, key, keepZero, ...(wrapped ? { shape: 'one', codec: wrappedStrings } : codec(key)) }
  }
  for (const [number, inner] of inline) byNumber[number] = { kind: 'inline', number, plan: planOf(name, inner, codec) }
  return { name, byNumber, byKey: byKey(name, byNumber), inlines: byNumber.filter((field) => field?.kind === 'inline') }
}

function byKey(name: string, fields: readonly (FieldPlan | undefined)[]): MessagePlan['byKey'] {
  const found: [number, { key: Uint8Array; field: FieldPlan }][] = fields.flatMap((field) => (field?.kind === 'field' ? [[keyHash(field.key), { key: Buffer.from(field.key), field }]] : []))
  const map = new Map(found)
  if (map.size !== found.length) throw new Error(`bug: two keys of ${name} have one hash`)
  return map
}

interface FieldShape { shape: 'one' | 'list' | 'map'; codec: ValueCodec }

function codecOf(type: FieldType, plans: Plans): FieldShape {
  switch (type.kind) {
    case 'list': return { shape: 'list', codec: valueCodec(type.items, plans) }
    case 'map': return { shape: 'map', codec: valueCodec(type.values, plans) }
    default: return { shape: 'one', codec: valueCodec(type, plans) }
  }
}

function valueCodec(type: FieldType, plans: Plans): ValueCodec {
  switch (type.kind) {
    case 'scalar': return SCALAR_CODECS[type.scalar]
    case 'ref': return messageCodec(() => mustPlan(plans, type.model))
    case 'any': return freeFormCodec(type.definition, () => messageCodec(() => mustPlan(plans, 'JSONSchemaProps')))
    // Lists as a map's values (ExtraValue): there are no others.
    case 'list': return wrappedStrings
    case 'map': throw new Error('bug: no message holds maps of maps')
  }
}

function mustPlan(plans: Plans, model: string): MessagePlan {
  const plan = plans(model)
  if (!plan) throw new Error(`bug: the table of protobuf fields lacks ${model}`)
  return plan
}
