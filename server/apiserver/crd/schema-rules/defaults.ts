/** Defaults must be what the schema around them allows (apiextensions `ValidateDefaults`). Pure. */
import type { JSONSchemaProps } from '#api/types/index.ts'
import { invalid, type FieldError } from '../../field-error.ts'
import { cloneJson } from '../../storage/clone.ts'
import { RuleSet } from '../rules/rule-set.ts'
import { coerceEmbedded, coerceMetadata } from '../schema/coerce-metadata.ts'
import { validateEmbedded } from '../schema/embedded-resources.ts'
import { compileSchema, type Json, type SchemaNode } from '../schema/node.ts'
import { META_FIELDS, prune } from '../schema/prune.ts'
import { structuralProblem, validateStructural } from './structural.ts'
import { validateValue } from '../schema/validate-value.ts'

/** `mayBeUnknown`: the definition had such defaults before they were refused. */
export function validateDefaults(schema: JSONSchemaProps, at: string, mayBeUnknown = false): FieldError[] {
  const found = visit(compileSchema(schema), at, true, undefined)
  return mayBeUnknown ? found.filter((error) => !error.message.endsWith(UNKNOWN_FIELDS)) : found
}

/** Whether a default has fields that its schema does not know, which would be taken out of it. */
export function hasUnprunedDefaults(schema: JSONSchemaProps): boolean {
  if (structuralProblem(schema) !== undefined || validateStructural(schema, '').length > 0) return false
  return visit(compileSchema(schema), '', true, undefined).some(({ message }) => message.endsWith(UNKNOWN_FIELDS))
}

const UNKNOWN_FIELDS = 'must not have unknown fields'

/** `wrap`: inside metadata of an embedded resource, that resource with the value in its place. */
function visit(node: SchemaNode, at: string, isRoot: boolean, wrap: ((value: unknown) => Json) | undefined): FieldError[] {
  const surround = node.embedded ? undefined : wrap
  const out = node.default === undefined ? [] : surround ? metadataDefault(node, at, surround) : plainDefault(node, at)
  // Maps are not looked into: defaults have no place there.
  if (node.items) out.push(...visit(node.items, `${at}.items`, false, surround && ((value) => surround([value]))))
  for (const name of Object.keys(node.properties ?? {})) {
    const member = (node.properties as Record<string, SchemaNode>)[name] as SchemaNode
    const begins = (node.embedded || isRoot) && META_FIELDS.has(name)
    const inner = begins ? (value: unknown): Json => ({ apiVersion: 'validation/v1', kind: 'Validation', [name]: value }) : surround && ((value: unknown): Json => surround({ [name]: value }))
    out.push(...visit(member, `${at}.properties[${name}]`, false, inner))
  }
  return out
}

function plainDefault(node: SchemaNode, at: string): FieldError[] {
  const field = `${at}.default`
  const out = prune(cloneJson(node.default), node, node.embedded).changed ? [invalid(field, node.default, UNKNOWN_FIELDS)] : []
  const misread = coerceEmbedded(cloneJson(node.default), node, field)
  if (misread) return [...out, misread]
  const embedded = validateEmbedded(node.default, node, field)
  if (embedded.length > 0) return [...out, ...embedded]
  const checked = validateValue(node.default, node, { base: field })
  return [...out, ...(checked.length > 0 ? checked : ruleErrors(node, field))]
}

function ruleErrors(node: SchemaNode, field: string): FieldError[] {
  const rules = RuleSet.of(node, false)
  if (!rules) return []
  // As it would be found, and as it would be brought in.
  const standing = rules.validate(node.default, node.default, node, { path: field, ratchet: false })
  return standing.length > 0 ? standing : rules.validate(node.default, undefined, node, { path: field })
}

function metadataDefault(node: SchemaNode, at: string, surround: (value: unknown) => Json): FieldError[] {
  const field = `${at}.default`
  const object = surround(cloneJson(node.default))
  const resource: SchemaNode = { ...node, embedded: true, properties: undefined, items: undefined, additional: undefined }
  const coerced = coerceMetadata(object, resource)
  if (!coerced.ok) return [invalid(field, node.default, `must result in valid metadata: ${coerced.message}`)]
  const wrong = validateEmbedded(object, resource)
  if (wrong.length > 0) return [invalid(field, node.default, `must result in valid metadata: ${wrong.map((e) => `${e.field}: ${e.message}`).join(', ')}`)]
  return validateValue(node.default, node, { base: field })
}
