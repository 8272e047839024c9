/** What apiextensions asks of each schema besides being structural: no forbidden keywords, extensions that fit their types. Pure. */
import type { JSONSchemaProps } from '#api/types/index.ts'
import { forbidden, invalid, notSupported, required, type FieldError } from '../../field-error.ts'
import { META_FIELDS } from '../schema/prune.ts'
import { isJsonObject } from '../schema/node.ts'
import { visitSchemas } from '../visit-schemas.ts'
import { ruleTextErrors } from './rule-text.ts'

interface Context {
  isRoot: boolean
  /** Why no default may be set here; undefined: it may. */
  noDefaults: string | undefined
  insideMeta: boolean
  waived: ReadonlySet<LaterRule>
}

/** Rules that came after the first definitions: one that broke them before may go on to. */
const LATER_RULES = { type: typeErrors, set: setErrors, keys: keyErrors }
export type LaterRule = keyof typeof LATER_RULES

export function brokenLaterRules(schemas: readonly (JSONSchemaProps | undefined)[]): ReadonlySet<LaterRule> {
  const out = new Set<LaterRule>()
  const names = Object.keys(LATER_RULES) as LaterRule[]
  for (const schema of schemas) visitSchemas(schema, (part) => { for (const name of names) if (LATER_RULES[name](part, '').length > 0) out.add(name) })
  return out
}

/** `waived`: rules that need not be kept. */
export function validateOpenApi(schema: JSONSchemaProps, at: string, waived: ReadonlySet<LaterRule>): FieldError[] {
  return visit(schema, at, { isRoot: true, noDefaults: undefined, insideMeta: false, waived })
}

function visit(schema: JSONSchemaProps, at: string, context: Context): FieldError[] {
  const out = [...keywordErrors(schema, at, context)]
  if (schema.uniqueItems) out.push(forbidden(`${at}.uniqueItems`, 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic'))
  const below: Context = { ...context, isRoot: false }
  const more = schema.additionalProperties
  if (more !== undefined && more !== null) {
    const excludes = more === false || isJsonObject(more)
    if (Object.keys(schema.properties ?? {}).length > 0 && excludes) out.push(forbidden(`${at}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'))
    if (isJsonObject(more)) out.push(...visit(more as JSONSchemaProps, `${at}.additionalProperties`, context.insideMeta ? { ...below, noDefaults: 'inside additionalProperties applying to object metadata' } : below))
  }
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const isMeta = (context.isRoot || schema['x-kubernetes-embedded-resource'] === true) && META_FIELDS.has(name)
    const inner = isMeta ? { ...below, insideMeta: true, noDefaults: context.isRoot ? `in top-level ${name}` : below.noDefaults } : below
    out.push(...visit(property, `${at}.properties[${name}]`, inner))
  }
  if (schema.not) out.push(...visit(schema.not, `${at}.not`, below))
  for (const key of ['allOf', 'oneOf', 'anyOf'] as const) schema[key]?.forEach((nested, i) => out.push(...visit(nested, `${at}.${key}[${i}]`, below)))
  if (isJsonObject(schema.items)) out.push(...visit(schema.items as JSONSchemaProps, `${at}.items`, below))
  return [...out, ...extensionErrors(schema, at, context), ...listMapErrors(schema, at), ...(context.waived.has('keys') ? [] : keyErrors(schema, at)), ...(schema['x-kubernetes-validations'] ? ruleTextErrors(schema, at) : [])]
}

const TYPES = ['array', 'boolean', 'integer', 'number', 'object', 'string']

function typeErrors({ type }: JSONSchemaProps, at: string): FieldError[] {
  return type && !TYPES.includes(type) ? [notSupported(`${at}.type`, type, TYPES)] : []
}

function keywordErrors(schema: JSONSchemaProps, at: string, { noDefaults, insideMeta, waived }: Context): FieldError[] {
  const out = waived.has('type') ? [] : typeErrors(schema, at)
  if (schema.default !== undefined && schema.default !== null && noDefaults !== undefined) out.push(forbidden(`${at}.default`, `must not be set ${noDefaults}`))
  if (schema.id) out.push(forbidden(`${at}.id`, 'id is not supported'))
  if (schema.additionalItems !== undefined) out.push(forbidden(`${at}.additionalItems`, 'additionalItems is not supported'))
  if (Object.keys(schema.patternProperties ?? {}).length > 0) out.push(forbidden(`${at}.patternProperties`, 'patternProperties is not supported'))
  if (Object.keys(schema.definitions ?? {}).length > 0) out.push(forbidden(`${at}.definitions`, 'definitions is not supported'))
  if (schema.dependencies !== undefined) out.push(forbidden(`${at}.dependencies`, 'dependencies is not supported'))
  if (schema.$ref !== undefined) out.push(forbidden(`${at}.$ref`, '$ref is not supported'))
  if (schema.type === 'null') out.push(forbidden(`${at}.type`, 'type cannot be set to null, use nullable as an alternative'))
  if (Array.isArray(schema.items) && schema.items.length > 0) out.push(forbidden(`${at}.items`, 'items must be a schema object and not an array'))
  if (insideMeta && schema['x-kubernetes-embedded-resource']) out.push(forbidden(`${at}.x-kubernetes-embedded-resource`, 'must not be used inside of resource meta'))
  return out
}

function extensionErrors(schema: JSONSchemaProps, at: string, { waived }: Context): FieldError[] {
  const out: FieldError[] = []
  const { type = '' } = schema
  const mapType = schema['x-kubernetes-map-type']
  const listType = schema['x-kubernetes-list-type']
  if (schema['x-kubernetes-preserve-unknown-fields'] === false) out.push(invalid(`${at}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined'))
  const mustBe = (wanted: string, extension: string) => (type === '' ? required(`${at}.type`, `must be ${wanted} if ${extension} is specified`) : invalid(`${at}.type`, type, `must be ${wanted} if ${extension} is specified`))
  if (mapType !== undefined && type !== 'object') out.push(mustBe('object', 'x-kubernetes-map-type'))
  if (mapType !== undefined && mapType !== 'atomic' && mapType !== 'granular') out.push(notSupported(`${at}.x-kubernetes-map-type`, mapType, ['atomic', 'granular']))
  if (listType !== undefined && type !== 'array') out.push(mustBe('array', 'x-kubernetes-list-type'))
  else if (!waived.has('set')) out.push(...setErrors(schema, at))
  if (listType !== undefined && !['atomic', 'set', 'map'].includes(listType)) out.push(notSupported(`${at}.x-kubernetes-list-type`, listType, ['atomic', 'set', 'map']))
  return out
}

/** Items of sets are atomic. */
function setErrors(schema: JSONSchemaProps, at: string): FieldError[] {
  if (schema['x-kubernetes-list-type'] !== 'set' || !isJsonObject(schema.items)) return []
  const items = schema.items as JSONSchemaProps
  const listType = items['x-kubernetes-list-type']
  if (items.type === 'array' && listType !== undefined && listType !== 'atomic') return [invalid(`${at}.items.x-kubernetes-list-type`, listType, 'must be atomic as item of a list with x-kubernetes-list-type=set')]
  if (items.type === 'object' && items['x-kubernetes-map-type'] !== 'atomic') return [invalid(`${at}.items.x-kubernetes-map-type`, listType ?? null, 'must be atomic as item of a list with x-kubernetes-list-type=set')]
  return []
}

function listMapErrors(schema: JSONSchemaProps, at: string): FieldError[] {
  const out: FieldError[] = []
  const listType = schema['x-kubernetes-list-type']
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  if (keys.length > 0 && listType === undefined) out.push(required(`${at}.x-kubernetes-list-type`, 'must be map if x-kubernetes-list-map-keys is non-empty'))
  else if (keys.length > 0 && listType !== 'map') out.push(invalid(`${at}.x-kubernetes-list-type`, listType, 'must be map if x-kubernetes-list-map-keys is non-empty'))
  if (listType !== 'map') return out
  if (keys.length === 0) out.push(required(`${at}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map'))
  if (schema.items === undefined) return [...out, required(`${at}.items`, 'must have a schema if x-kubernetes-list-type is map')]
  if (!isJsonObject(schema.items)) return [...out, invalid(`${at}.items`, schema.items, 'must only have a single schema if x-kubernetes-list-type is map')]
  const items = schema.items as JSONSchemaProps
  if (items.type !== 'object') return [...out, invalid(`${at}.items.type`, items.type ?? '', "must be object if parent array's x-kubernetes-list-type is map")]
  for (const [i, key] of keys.entries()) {
    const property = items.properties?.[key]
    if (!property) out.push(invalid(`${at}.x-kubernetes-list-map-keys`, keys, 'entries must all be names of item properties'))
    else if (property.type === 'array' || property.type === 'object') out.push(invalid(`${at}.items.properties[${key}].type`, items.type, "must be a scalar type if parent array's x-kubernetes-list-type is map"))
    if (keys.indexOf(key) < i) out.push(invalid(`${at}.x-kubernetes-list-map-keys`, keys, 'must not contain duplicate entries'))
  }
  return out
}

/** Items of maps and sets are there, and their keys always have a value. */
function keyErrors(schema: JSONSchemaProps, at: string): FieldError[] {
  const listType = schema['x-kubernetes-list-type']
  if (!isJsonObject(schema.items) || (listType !== 'set' && listType !== 'map')) return []
  const items = schema.items as JSONSchemaProps
  const out = items.nullable ? [forbidden(`${at}.items.nullable`, `cannot be nullable when x-kubernetes-list-type is ${listType}`)] : []
  if (listType === 'set') return out
  for (const key of schema['x-kubernetes-list-map-keys'] ?? []) {
    const property = items.properties?.[key]
    if (!property) continue
    if (!items.required?.includes(key) && property.default === undefined) out.push(required(`${at}.items.properties[${key}].default`, 'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property'))
    if (property.nullable) out.push(forbidden(`${at}.items.properties[${key}].nullable`, 'this property is in x-kubernetes-list-map-keys, so it cannot be nullable'))
  }
  return out
}
