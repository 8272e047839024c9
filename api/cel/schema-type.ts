/** OpenAPI schemas as CEL types: what a rule sees of a custom resource, and how big it can get (upstream's `SchemaDeclType`). */
import { escapeName, RESERVED } from './names.ts'
import type { CelField, CelObjectType, CelType } from './type.ts'
import { BOOL, DOUBLE, INT, list, map, STRING } from './type.ts'

/** What matters of a structural schema, or of a built-in kind's. */
export interface OpenApiSchema {
  type?: string
  format?: string
  nullable?: boolean
  properties?: Readonly<Record<string, OpenApiSchema>>
  additionalProperties?: OpenApiSchema | boolean
  items?: OpenApiSchema
  required?: readonly string[]
  enum?: readonly unknown[]
  default?: unknown
  maxLength?: number
  maxItems?: number
  maxProperties?: number
  'x-kubernetes-int-or-string'?: boolean
  'x-kubernetes-embedded-resource'?: boolean
  'x-kubernetes-preserve-unknown-fields'?: boolean
  'x-kubernetes-list-type'?: string
  'x-kubernetes-list-map-keys'?: readonly string[]
}

/** Upstream's largest request, which bounds whatever the schema does not. */
const REQUEST_BYTES_MAX = 3 * 1024 * 1024
const STRING_MAX = REQUEST_BYTES_MAX - 2
/** A character may take four bytes. */
const BYTES_PER_CHARACTER = 4
/** `2006-01-02` in quotes, and date-times and durations in theirs. */
const DATE_BYTES = 12
const DATE_TIME_BYTES_MIN = 21
const DATE_TIME_BYTES_MAX = 32
const DURATION_BYTES_MIN = 3
const DURATION_BYTES_MAX = 32

export interface SchemaTypeOptions {
  /** Shown in messages and the head of the names of what is inside. */
  name?: string
  /** True for the root of a resource: apiVersion, kind and metadata.name are there even if the schema does not say so. */
  resourceRoot?: boolean
}

/** Undefined where a rule can see nothing (`x-kubernetes-preserve-unknown-fields` without a type). */
export function schemaToCelType(schema: OpenApiSchema, { name = 'object', resourceRoot = false }: SchemaTypeOptions = {}): CelType | undefined {
  return sized(schema, name, resourceRoot)?.type
}

/** The fewest bytes that JSON of the schema may have: how often it can occur in a request follows from it. */
export function smallestBytes(schema: OpenApiSchema, { name = 'object', resourceRoot = false }: SchemaTypeOptions = {}): number {
  return sized(schema, name, resourceRoot)?.min ?? 0
}

/** A type with the fewest bytes its JSON may have. */
interface Sized { type: CelType; min: number }

function sized(schema: OpenApiSchema, name: string, root: boolean): Sized | undefined {
  // The format is how built-in kinds say it, the extension how custom resources do.
  if (schema['x-kubernetes-int-or-string'] === true || schema.format === 'int-or-string') {
    return { type: { kind: 'dynamic-union', max: characters(schema.maxLength) ?? STRING_MAX }, min: 1 }
  }
  switch (schema.type) {
    case 'array': return sizedList(schema, name)
    case 'object': return sizedObject(root ? withObjectMeta(schema) : schema, name)
    case 'string': return sizedString(schema)
    case 'boolean': return { type: BOOL, min: 4 }
    case 'number': return { type: DOUBLE, min: 1 }
    case 'integer': return { type: INT, min: 1 }
    default: return undefined
  }
}

const characters = (length: number | undefined): number | undefined => (length === undefined ? undefined : Math.max(0, length) * BYTES_PER_CHARACTER)

function sizedList(schema: OpenApiSchema, name: string): Sized | undefined {
  const { items } = schema
  const item = items && sized(items, `${name}.@idx`, items['x-kubernetes-embedded-resource'] === true)
  if (!item) return undefined
  const max = schema.maxItems === undefined ? Math.floor((REQUEST_BYTES_MAX - 2) / (item.min + 1)) : Math.max(0, schema.maxItems)
  const listType = schema['x-kubernetes-list-type']
  if (listType !== 'set' && listType !== 'map') return { type: list(item.type, max), min: 2 }
  return { type: { kind: 'list', element: item.type, max, listType, mapKeys: schema['x-kubernetes-list-map-keys'] ?? [] }, min: 2 }
}

function sizedObject(schema: OpenApiSchema, name: string): Sized | undefined {
  const values = schema.additionalProperties
  if (typeof values === 'object') {
    const value = sized(values, `${name}.@elem`, values['x-kubernetes-embedded-resource'] === true)
    if (!value) return undefined
    // A key, quotes, colon and comma come to six bytes at the least.
    const max = schema.maxProperties === undefined ? Math.floor((REQUEST_BYTES_MAX - 2) / (value.min + 6)) : Math.max(0, schema.maxProperties)
    return { type: map(STRING, value.type, max), min: 2 }
  }
  const fields = new Map<string, CelField>()
  let min = 2
  for (const [jsonName, property] of Object.entries(schema.properties ?? {})) {
    const field = sized(property, `${name}.${jsonName}`, property['x-kubernetes-embedded-resource'] === true)
    if (!field) continue
    const celName = escapeName(jsonName)
    if (celName !== undefined) fields.set(celName, { type: field.type, jsonName, nullable: property.nullable === true })
    if (schema.required?.includes(jsonName) && property.default === undefined) min += jsonName.length + field.min + 4
  }
  // A reserved word may also be written as it is.
  const type: CelObjectType = { kind: 'object', name, field: (f) => fields.get(f) ?? (RESERVED.has(f) ? fields.get(`__${f}__`) : undefined), fieldNames: () => fields.keys() }
  return { type, min }
}

function sizedString(schema: OpenApiSchema): Sized {
  switch (schema.format) {
    case 'byte': return { type: { kind: 'bytes', max: schema.maxLength === undefined ? STRING_MAX : Math.max(0, schema.maxLength) }, min: 2 }
    case 'duration': return { type: { kind: 'duration', max: DURATION_BYTES_MAX }, min: DURATION_BYTES_MIN }
    case 'date': return { type: { kind: 'timestamp', max: DATE_BYTES }, min: DATE_BYTES }
    case 'date-time': return { type: { kind: 'timestamp', max: DATE_TIME_BYTES_MAX }, min: DATE_TIME_BYTES_MIN }
    default:
  }
  const byEnum = schema.enum && schema.enum.length > 0 ? Math.max(0, ...schema.enum.map((v) => (typeof v === 'string' ? Buffer.byteLength(v) : 0))) : undefined
  return { type: { kind: 'string', max: characters(schema.maxLength) ?? byEnum ?? STRING_MAX }, min: 2 }
}

const TEXT: OpenApiSchema = { type: 'string' }

function withObjectMeta(schema: OpenApiSchema): OpenApiSchema {
  const { properties = {} } = schema
  const meta = properties.metadata
  if (properties.kind?.type === 'string' && properties.apiVersion?.type === 'string' && meta?.properties?.name?.type === 'string' && meta.properties.generateName?.type === 'string') return schema
  return { ...schema, properties: { ...properties, kind: TEXT, apiVersion: TEXT, metadata: { type: 'object', properties: { name: TEXT, generateName: TEXT } } } }
}
