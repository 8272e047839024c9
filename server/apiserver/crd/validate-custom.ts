/** A custom resource against its schema, its lists, what is embedded in it, and its rules; create, update and status. Pure. */
import type { CustomResourceSubresourceScale, KubeObject } from '#api/types/index.ts'
import { invalid, type FieldError } from '../field-error.ts'
import { goText } from '../patch/go-text.ts'
import { validateMetaUpdate } from '../kinds/object-meta.ts'
import { Correlation } from './schema/correlation.ts'
import { validateEmbedded } from './schema/embedded-resources.ts'
import { validateListItems } from './schema/list-items.ts'
import { isJsonObject, type Json, type SchemaNode } from './schema/node.ts'
import type { RuleSet } from './rules/rule-set.ts'
import { isInt64, validateValue } from './schema/validate-value.ts'

type Custom = KubeObject & Json

export interface CustomSchema {
  node: SchemaNode
  /** Undefined: it has none. */
  rules: RuleSet | undefined
  scale: CustomResourceSubresourceScale | undefined
}

export function validateCustomCreate(object: Custom, schema: CustomSchema): FieldError[] {
  const errors = [...validateValue(object, schema.node), ...specScale(object, schema), ...statusScale(object, schema), ...validateEmbedded(object, schema.node), ...validateListItems(object, schema.node)]
  return withRules(errors, object, undefined, schema)
}

export function validateCustomUpdate(object: Custom, old: Custom, schema: CustomSchema): FieldError[] {
  const { node } = schema
  const correlation = new Correlation(object, old, node)
  const errors = [...validateValue(object, node, { correlation }), ...specScale(object, schema), ...statusScale(object, schema), ...validateEmbedded(object, node), ...newListErrors(object, old, node)]
  return withRules(errors, object, old, schema)
}

export function validateCustomStatus(object: Custom, old: Custom, schema: CustomSchema): FieldError[] {
  const { node } = schema
  const { status } = object
  const statusNode = node.properties?.['status']
  const checked = status === undefined || !statusNode ? [] : validateValue(status, statusNode, { base: 'status', correlation: new Correlation(object, old, node).key('status') })
  const errors = [...validateMetaUpdate(object.metadata ?? {}, old.metadata ?? {}, 'plain'), ...checked, ...statusScale(object, schema), ...newListErrors(object, old, node)]
  return withRules(errors, object, old, schema)
}

/** Lists that were not right before need not be right now. */
function newListErrors(object: Custom, old: Custom, node: SchemaNode): FieldError[] {
  const errors = validateListItems(object, node)
  return errors.length > 0 && validateListItems(old, node).length > 0 ? [] : errors
}

const letPass = new WeakMap<object, readonly FieldError[]>()

/** Rules that an object breaks as it did before; known once it was validated. */
export const ruleWarnings = (object: object): string[] => (letPass.get(object) ?? []).map((e) => `${e.field}: ${e.message}`)

/** What makes rules pointless or unsafe to run. */
const BLOCKING: ReadonlySet<FieldError['type']> = new Set(['FieldValueNotSupported', 'FieldValueRequired', 'FieldValueTooLong', 'FieldValueTooMany', 'FieldValueTypeInvalid'])

function withRules(errors: FieldError[], object: Custom, old: Custom | undefined, { node, rules }: CustomSchema): FieldError[] {
  if (!rules) return errors
  if (errors.some((e) => BLOCKING.has(e.type))) return [...errors, { type: 'FieldValueInvalid', field: '<nil>', message: 'Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation' }]
  const stood: FieldError[] = []
  const failed = rules.validate(object, old, node, { stood })
  if (stood.length > 0) letPass.set(object, stood)
  return [...errors, ...failed]
}

const INT32_MAX = 2 ** 31 - 1

function specScale(object: Custom, { scale }: CustomSchema): FieldError[] {
  return scale ? replicas(object, scale.specReplicasPath) : []
}

function statusScale(object: Custom, { scale }: CustomSchema): FieldError[] {
  if (!scale) return []
  const errors = replicas(object, scale.statusReplicasPath)
  if (!scale.labelSelectorPath) return errors
  const found = nested(object, scale.labelSelectorPath)
  if (!found.ok) return [...errors, invalid(scale.labelSelectorPath, '', found.message)]
  if (found.value !== undefined && typeof found.value !== 'string') errors.push(invalid(scale.labelSelectorPath, '', accessor(scale.labelSelectorPath, found.value, 'string')))
  return errors
}

function replicas(object: Custom, path: string): FieldError[] {
  const found = nested(object, path)
  if (!found.ok) return [invalid(path, 0, found.message)]
  const { value } = found
  if (value === undefined) return []
  if (typeof value !== 'number' || !isInt64(value)) return [invalid(path, 0, accessor(path, value, 'int64'))]
  if (value < 0) return [invalid(path, value, 'should be a non-negative integer')]
  return value > INT32_MAX ? [invalid(path, value, `should be less than or equal to ${INT32_MAX}`)] : []
}

const goType = (value: unknown): string => (typeof value === 'string' ? 'string' : typeof value === 'boolean' ? 'bool' : typeof value === 'number' ? (isInt64(value) ? 'int64' : 'float64') : value === null ? '<nil>' : Array.isArray(value) ? '[]interface {}' : 'map[string]interface {}')
const accessor = (path: string, value: unknown, wanted: string): string => `${path} accessor error: ${goText(value)} is of the type ${goType(value)}, expected ${wanted}`

function nested(object: Custom, path: string): { ok: true; value: unknown } | { ok: false; message: string } {
  let at: unknown = object
  const steps = path.split('.').filter((s) => s !== '')
  for (const [i, step] of steps.entries()) {
    if (at === undefined || at === null) return { ok: true, value: undefined }
    if (!isJsonObject(at)) return { ok: false, message: `.${steps.slice(0, i + 1).join('.')} accessor error: ${goText(at)} is of the type ${goType(at)}, expected map[string]interface{}` }
    at = at[step]
  }
  return { ok: true, value: at }
}
