/**
 * The structural schema of a custom resource version as a compact tree: what pruning, defaulting, validation and ownership of
 * fields walk over. Made from the CRD's openAPIV3Schema, of which the texts (descriptions, titles, examples) are let go.
 */
import type { JSONSchemaProps, ValidationRule } from '#api/types/index.ts'

export interface SchemaNode {
  /** '' where none is given (int-or-string, preserve-unknown-fields, nested validations). */
  readonly type: string
  readonly nullable: boolean
  /** Without a prototype: any key may be looked up. */
  readonly properties: Readonly<Record<string, SchemaNode>> | undefined
  readonly items: SchemaNode | undefined
  /** `true`: anything; `false`: nothing but the properties. */
  readonly additional: SchemaNode | boolean | undefined
  /** Undefined: none. */
  readonly default: unknown
  readonly preserve: boolean
  readonly embedded: boolean
  readonly intOrString: boolean
  readonly listType: string | undefined
  readonly listMapKeys: readonly string[] | undefined
  readonly mapType: string | undefined
  /** Undefined: any value of the type is valid. */
  readonly checks: Checks | undefined
  readonly rules: readonly ValidationRule[] | undefined
}

/** The keywords that restrict values. */
export interface Checks {
  readonly format: string
  readonly maximum: number | undefined
  readonly exclusiveMaximum: boolean
  readonly minimum: number | undefined
  readonly exclusiveMinimum: boolean
  readonly maxLength: number | undefined
  readonly minLength: number | undefined
  readonly pattern: string | undefined
  readonly maxItems: number | undefined
  readonly minItems: number | undefined
  readonly uniqueItems: boolean
  readonly multipleOf: number | undefined
  readonly maxProperties: number | undefined
  readonly minProperties: number | undefined
  readonly required: readonly string[]
  readonly enum: readonly unknown[]
  readonly allOf: readonly SchemaNode[]
  readonly anyOf: readonly SchemaNode[]
  readonly oneOf: readonly SchemaNode[]
  readonly not: SchemaNode | undefined
}

export type Json = Record<string, unknown>
export const isJsonObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

const NONE: readonly never[] = []

/** Never fails: what CRD validation forbids is left out. */
export function compileSchema(props: JSONSchemaProps): SchemaNode {
  const { items, additionalProperties: more } = props
  return {
    type: props.type ?? '',
    nullable: props.nullable ?? false,
    properties: props.properties && mapOf(props.properties),
    items: isJsonObject(items) ? compileSchema(items as JSONSchemaProps) : undefined,
    additional: typeof more === 'boolean' ? more : isJsonObject(more) ? compileSchema(more as JSONSchemaProps) : undefined,
    default: props.default ?? undefined,
    preserve: props['x-kubernetes-preserve-unknown-fields'] ?? false,
    embedded: props['x-kubernetes-embedded-resource'] ?? false,
    intOrString: props['x-kubernetes-int-or-string'] ?? false,
    listType: props['x-kubernetes-list-type'],
    listMapKeys: props['x-kubernetes-list-map-keys'],
    mapType: props['x-kubernetes-map-type'],
    checks: checksOf(props),
    rules: props['x-kubernetes-validations']?.length ? props['x-kubernetes-validations'] : undefined,
  }
}

function mapOf(properties: Readonly<Record<string, JSONSchemaProps>>): Record<string, SchemaNode> {
  const nodes = Object.create(null) as Record<string, SchemaNode>
  for (const name of Object.keys(properties)) nodes[name] = compileSchema(properties[name] as JSONSchemaProps)
  return nodes
}

const CHECK_KEYS = [
  'format', 'maximum', 'minimum', 'maxLength', 'minLength', 'pattern', 'maxItems', 'minItems', 'uniqueItems', 'multipleOf', 'maxProperties', 'minProperties',
  'required', 'enum', 'allOf', 'anyOf', 'oneOf', 'not',
] as const satisfies readonly (keyof JSONSchemaProps)[]

function checksOf(props: JSONSchemaProps): Checks | undefined {
  if (!CHECK_KEYS.some((key) => props[key] !== undefined)) return undefined
  const all = (nodes: readonly JSONSchemaProps[] | undefined): readonly SchemaNode[] => nodes?.map(compileSchema) ?? NONE
  return {
    format: props.format ?? '',
    maximum: props.maximum, exclusiveMaximum: props.exclusiveMaximum ?? false, minimum: props.minimum, exclusiveMinimum: props.exclusiveMinimum ?? false,
    maxLength: props.maxLength, minLength: props.minLength, pattern: props.pattern || undefined,
    maxItems: props.maxItems, minItems: props.minItems, uniqueItems: props.uniqueItems ?? false, multipleOf: props.multipleOf,
    maxProperties: props.maxProperties, minProperties: props.minProperties,
    required: props.required ?? NONE, enum: props.enum ?? NONE,
    allOf: all(props.allOf), anyOf: all(props.anyOf), oneOf: all(props.oneOf), not: props.not && compileSchema(props.not),
  }
}

/** A root without a schema: everything is kept. */
export const ANYTHING: SchemaNode = compileSchema({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true })

/** The schema of an object's member, where there is one. */
export function memberNode(node: SchemaNode | undefined, key: string): SchemaNode | undefined {
  if (!node) return undefined
  return node.properties?.[key] ?? (typeof node.additional === 'object' ? node.additional : undefined)
}
