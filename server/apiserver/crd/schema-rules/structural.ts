/** What makes a schema structural (KEP-1979, apiextensions `ValidateStructural`): every value's type is known without looking into alternatives. Pure. */
import { compileRegex } from '#api/cel/regex/regex.ts'
import { EvalError } from '#api/cel/value.ts'
import type { JSONSchemaProps } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import { forbidden, invalid, required, type FieldError } from '../../field-error.ts'
import { isJsonObject } from '../schema/node.ts'

/** Keywords no structural schema can be made with; undefined: there are none. */
export function structuralProblem(schema: JSONSchemaProps): string | undefined {
  const unsupported = UNSUPPORTED.find((key) => isGiven(schema[key]))
  if (unsupported !== undefined) return `OpenAPIV3Schema '${unsupported === '$schema' ? 'schema' : unsupported}' is not supported`
  if (Array.isArray(schema.items)) return "OpenAPIV3Schema 'items' must be a schema, but is an array"
  if (schema['x-kubernetes-preserve-unknown-fields'] === false) return "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined"
  for (const below of belowOf(schema)) {
    const problem = structuralProblem(below)
    if (problem !== undefined) return problem
  }
  return undefined
}

const UNSUPPORTED = ['id', '$schema', '$ref', 'patternProperties', 'dependencies', 'additionalItems', 'definitions'] as const

const isGiven = (value: unknown): boolean => value !== undefined && value !== '' && !(isJsonObject(value) && Object.keys(value).length === 0)

function belowOf(schema: JSONSchemaProps): JSONSchemaProps[] {
  const single = [schema.items, schema.additionalProperties, schema.not].filter(isJsonObject) as JSONSchemaProps[]
  return [...single, ...(schema.allOf ?? []), ...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...Object.values(schema.properties ?? {})]
}

type Level = 'root' | 'item' | 'field'

export function validateStructural(schema: JSONSchemaProps, at: string): FieldError[] {
  const out = [...invariants(schema, 'root', at), ...completeness(schema, schema, at, at)]
  return out.sort((a, b) => (text(a) < text(b) ? -1 : 1))
}

const text = ({ field, message }: FieldError): string => `${field}: ${message}`

function invariants(schema: JSONSchemaProps, level: Level, at: string): FieldError[] {
  const out: FieldError[] = []
  const { type = '', items, additionalProperties, properties = {} } = schema
  const embedded = schema['x-kubernetes-embedded-resource'] ?? false
  const preserve = schema['x-kubernetes-preserve-unknown-fields'] ?? false
  const intOrString = schema['x-kubernetes-int-or-string'] ?? false
  if (type === 'array' && !isJsonObject(items)) out.push(required(`${at}.items`, 'must be specified'))
  if (isJsonObject(items)) out.push(...invariants(items as JSONSchemaProps, 'item', `${at}.items`))
  for (const [name, property] of Object.entries(properties)) out.push(...invariants(property, 'field', `${at}.properties[${name}]`))
  if (additionalProperties !== undefined && additionalProperties !== null) {
    if (level === 'root') out.push(forbidden(`${at}.additionalProperties`, 'must not be used at the root'))
    if (isJsonObject(additionalProperties)) out.push(...invariants(additionalProperties as JSONSchemaProps, 'field', `${at}.additionalProperties`))
    if (embedded) out.push(forbidden(`${at}.additionalProperties`, 'must not be used if x-kubernetes-embedded-resource is set'))
  }
  if (intOrString && preserve) out.push(invalid(`${at}.x-kubernetes-preserve-unknown-fields`, preserve, 'must be false if x-kubernetes-int-or-string is true'))
  if (intOrString && embedded) out.push(invalid(`${at}.x-kubernetes-embedded-resource`, embedded, 'must be false if x-kubernetes-int-or-string is true'))
  out.push(...valueErrors(schema, { anyOf: isIntOrString(schema.anyOf), firstAllOf: isIntOrString(schema.allOf?.[0]?.anyOf) }, at))
  if (embedded && type !== 'object') out.push(type === '' ? required(`${at}.type`, 'must be object if x-kubernetes-embedded-resource is true') : invalid(`${at}.type`, type, 'must be object if x-kubernetes-embedded-resource is true'))
  else if (type === '' && !intOrString && !preserve) out.push(required(`${at}.type`, { root: 'must not be empty at the root', item: 'must not be empty for specified array items', field: 'must not be empty for specified object fields' }[level]))
  if (level === 'root' && type !== '' && type !== 'object') out.push(invalid(`${at}.type`, type, 'must be object at the root'))
  const isResource = level === 'root' || embedded
  for (const name of ['kind', 'apiVersion']) {
    const property = properties[name]
    if (isResource && property && property.type !== 'string') out.push(invalid(`${at}.properties[${name}].type`, property.type ?? '', 'must be string'))
  }
  if (properties['metadata']) out.push(...metadataErrors(properties['metadata'], isResource, level, `${at}.properties[metadata]`))
  if (embedded && !preserve && Object.keys(properties).length === 0) out.push(required(`${at}.properties`, 'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields'))
  return out
}

function metadataErrors(schema: JSONSchemaProps, isResource: boolean, level: Level, at: string): FieldError[] {
  const out = isResource && schema.type !== 'object' ? [invalid(`${at}.type`, schema.type ?? '', 'must be object')] : []
  if (level !== 'root') return out
  const { type: _type, default: _default, properties = {}, ...rest } = schema
  const names = Object.keys(properties)
  const isPlain = names.every((name) => name === 'name' || name === 'generateName') && !Object.values(rest).some((value) => isGiven(value) && value !== false)
  if (!isPlain) out.push(forbidden(at, 'must not specify anything other than name and generateName, but metadata is implicitly specified'))
  return out
}

const isIntOrString = (any: readonly JSONSchemaProps[] | undefined): boolean => any?.length === 2 && isBare(any[0], 'integer') && isBare(any[1], 'string')
const isBare = (schema: JSONSchemaProps | undefined, type: string): boolean => schema?.type === type && Object.keys(schema).length === 1

/** Keywords under alternatives restrict values and say nothing of structure. */
function valueErrors(schema: JSONSchemaProps, skip: { anyOf: boolean; firstAllOf: boolean }, at: string): FieldError[] {
  const out: FieldError[] = []
  const nested = (list: readonly JSONSchemaProps[] | undefined, key: string): void => (list ?? []).forEach((below, i) => { out.push(...nestedErrors(below, { anyOf: key === 'allOf' && i === 0 && skip.firstAllOf, firstAllOf: false }, `${at}.${key}[${i}]`)) })
  if (!skip.anyOf) nested(schema.anyOf, 'anyOf')
  nested(schema.allOf, 'allOf')
  nested(schema.oneOf, 'oneOf')
  if (schema.not) out.push(...nestedErrors(schema.not, { anyOf: false, firstAllOf: false }, `${at}.not`))
  if (schema.pattern) {
    const problem = patternProblem(schema.pattern)
    if (problem !== undefined) out.push(invalid(`${at}.pattern`, schema.pattern, `must be a valid regular expression, but isn't: ${problem}`))
  }
  return out
}

function patternProblem(pattern: string): string | undefined {
  try {
    compileRegex(pattern)
    return undefined
  } catch (error) {
    return error instanceof EvalError ? error.message : asError(error).message
  }
}

const EMPTY_TO_BE = [['type', 'must be empty'], ['additionalProperties', 'must be undefined'], ['default', 'must be undefined'], ['title', 'must be empty'], ['description', 'must be empty'], ['nullable', 'must be false'],
  ['x-kubernetes-preserve-unknown-fields', 'must be false'], ['x-kubernetes-embedded-resource', 'must be false'], ['x-kubernetes-int-or-string', 'must be false'], ['x-kubernetes-list-map-keys', 'must be empty'],
  ['x-kubernetes-list-type', 'must be undefined'], ['x-kubernetes-map-type', 'must be undefined'], ['x-kubernetes-validations', 'must be empty']] as const

function nestedErrors(schema: JSONSchemaProps, skip: { anyOf: boolean; firstAllOf: boolean }, at: string): FieldError[] {
  const out = valueErrors(schema, skip, at)
  const plain = { anyOf: false, firstAllOf: false }
  if (isJsonObject(schema.items)) out.push(...nestedErrors(schema.items as JSONSchemaProps, plain, `${at}.items`))
  for (const [name, property] of Object.entries(schema.properties ?? {})) out.push(...nestedErrors(property, plain, `${at}.properties[${name}]`))
  for (const [key, must] of EMPTY_TO_BE) {
    const value: unknown = schema[key]
    const isSet = value !== undefined && value !== null && value !== '' && value !== false && !(Array.isArray(value) && value.length === 0)
    if (isSet) out.push(forbidden(`${at}.${key}`, `${must} to be structural`))
  }
  if (schema.properties?.['metadata']) out.push(forbidden(`${at}.properties[metadata]`, 'must not be specified in a nested context'))
  return out
}

/** What alternatives speak of is there outside of them. `value`: the alternatives at `valueAt`; `schema`: the structure at `at`. */
function completeness(value: JSONSchemaProps, schema: JSONSchemaProps | undefined, at: string, valueAt: string): FieldError[] {
  const lists = (['allOf', 'anyOf', 'oneOf'] as const).flatMap((key) => (value[key] ?? []).map((below, i) => [below, `${valueAt}.${key}[${i}]`] as const))
  return [...(value.not ? [[value.not, `${valueAt}.not`] as const] : []), ...lists].flatMap(([below, belowAt]) => nestedCompleteness(below, schema, at, belowAt))
}

function nestedCompleteness(value: JSONSchemaProps, schema: JSONSchemaProps | undefined, at: string, valueAt: string): FieldError[] {
  if (!schema) return [required(at, `because it is defined in ${valueAt}`)]
  const out = completeness(value, schema, at, valueAt)
  if (isJsonObject(value.items)) out.push(...nestedCompleteness(value.items as JSONSchemaProps, isJsonObject(schema.items) ? (schema.items as JSONSchemaProps) : undefined, `${at}.items`, `${valueAt}.items`))
  for (const [name, property] of Object.entries(value.properties ?? {})) out.push(...nestedCompleteness(property, schema.properties?.[name], `${at}.properties[${name}]`, `${valueAt}.properties[${name}]`))
  return out
}
