/** The openAPIV3Schema of a version: it is structural, its defaults are sound, its extensions fit, its rules compile and are affordable. Pure. */
import type { JSONSchemaProps } from '#api/types/index.ts'
import { forbidden, invalid, type FieldError } from '../field-error.ts'
import { equalJson } from '../storage/equal.ts'
import { validateDefaults } from './schema-rules/defaults.ts'
import { type LaterRule, validateOpenApi } from './schema-rules/open-api.ts'
import { validateRules } from './schema-rules/rules.ts'
import { structuralProblem, validateStructural } from './schema-rules/structural.ts'
import { compileSchema } from './schema/node.ts'

export interface SchemaContext {
  /** The version has a status subresource: its schema is taken out of the whole. */
  hasStatus: boolean
  /** The version's schema before an update. */
  old: JSONSchemaProps | undefined
  /** Rules that the definition broke before an update. */
  waived: ReadonlySet<LaterRule>
  /** Its defaults had fields that nobody knows. */
  unpruned: boolean
}

export function validateSchema(schema: JSONSchemaProps, at: string, { hasStatus, old, waived, unpruned }: SchemaContext): FieldError[] {
  // What was stored once may be stored again: upgrades must not lock anybody out.
  const isUnchanged = old !== undefined && equalJson(schema, old)
  const out: FieldError[] = []
  if (hasStatus) out.push(...rootErrors(schema, at))
  if (schema.nullable) out.push(forbidden(`${at}.nullable`, 'nullable cannot be true at the root'))
  const unsupported = structuralProblem(schema)
  const structural = unsupported === undefined ? validateStructural(schema, at) : []
  out.push(...structural)
  const defaults = unsupported === undefined && structural.length === 0 ? validateDefaults(schema, at, unpruned) : []
  out.push(...defaults)
  const openApi = validateOpenApi(schema, at, waived)
  out.push(...openApi)
  if (out.length === 0 && unsupported !== undefined) out.push(invalid(at, '', unsupported))
  if (unsupported === undefined && structural.length === 0 && defaults.length === 0) out.push(...validateRules(compileSchema(schema), at, { checkCost: !isUnchanged, complaints: openApi }))
  return out
}

const ROOT_FIELDS: ReadonlySet<string> = new Set([
  'description', 'type', 'format', 'title', 'maximum', 'exclusiveMaximum', 'minimum', 'exclusiveMinimum', 'maxLength', 'minLength', 'pattern', 'maxItems', 'minItems', 'uniqueItems', 'multipleOf',
  'required', 'items', 'properties', 'externalDocs', 'example', 'x-kubernetes-preserve-unknown-fields', 'x-kubernetes-validations',
])
const ROOT_FIELDS_SHOWN = '[Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations]'

function rootErrors(schema: JSONSchemaProps, at: string): FieldError[] {
  if (schema.type !== undefined && schema.type !== '' && schema.type !== 'object') return [invalid(`${at}.type`, schema.type, 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled')]
  const odd = Object.keys(schema).some((key) => !ROOT_FIELDS.has(key) && !isZero(schema[key as keyof JSONSchemaProps]))
  return odd ? [invalid(at, schema, `only ${ROOT_FIELDS_SHOWN} fields are allowed at the root of the schema if the status subresource is enabled`)] : []
}

const isZero = (value: unknown): boolean => value === undefined || value === null || value === '' || value === false || value === 0
