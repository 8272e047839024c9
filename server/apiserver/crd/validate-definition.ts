/**
 * CustomResourceDefinitions against upstream's rules, in its words. What all versions have alike is spoken of as upstream's internal
 * form has it: `spec.validation`, `spec.subresources`, ..., instead of `spec.versions[0].schema`. Pure.
 */
import { checkDns1035Label, checkDnsSubdomain, type CustomResourceColumnDefinition, type CustomResourceDefinition, type CustomResourceDefinitionNames, type CustomResourceDefinitionVersion, type CustomResourceSubresources, type JSONSchemaProps } from '#api/types/index.ts'
import { duplicate, forbidden, invalid, required, tooMany, type FieldError } from '../field-error.ts'
import { immutable, oneOf } from '../kinds/check.ts'
import { validateWebhookService, validateWebhookUrl } from '../kinds/webhook-client.ts'
import { equalJson } from '../storage/equal.ts'
import { apiApproval, APPROVAL_ANNOTATION, isProtectedGroup } from './api-approval.ts'
import { isCertificateBundle } from './certificate-bundle.ts'
import { isConditionTrue } from './definition.ts'
import { parseFieldPath } from './rules/field-path.ts'
import { compileSchema } from './schema/node.ts'
import { hasUnprunedDefaults } from './schema-rules/defaults.ts'
import { brokenLaterRules } from './schema-rules/open-api.ts'
import { validateSchema } from './validate-schema.ts'
import { visitSchemas } from './visit-schemas.ts'

type Spec = CustomResourceDefinition['spec']

const SELECTABLE_MAX = 8

export function validateDefinition(definition: CustomResourceDefinition): FieldError[] {
  const { metadata, spec } = definition
  const wanted = `${spec.names?.plural ?? ''}.${spec.group ?? ''}`
  const misnamed = (['generateName', 'name'] as const).flatMap((key) => (metadata?.[key] && metadata[key] !== wanted ? [invalid(`metadata.${key}`, metadata[key], 'must be spec.names.plural+"."+spec.group')] : []))
  return [...misnamed, ...validateSpec(spec, undefined, false), ...validateStored(definition), ...validateApproval(definition, undefined), ...validatePreserve(spec, undefined)]
}

export function validateDefinitionUpdate(definition: CustomResourceDefinition, old: CustomResourceDefinition): FieldError[] {
  const { spec } = definition
  const isEstablished = isConditionTrue(old, 'Established')
  return [
    ...validateSpec(spec, old.spec, isEstablished),
    ...(isEstablished ? [...immutable('spec.scope', spec.scope, old.spec.scope), ...immutable('spec.names.kind', spec.names.kind, old.spec.names.kind)] : []),
    ...immutable('spec.group', spec.group, old.spec.group),
    ...immutable('spec.names.plural', spec.names.plural, old.spec.names.plural),
    ...validateStored(definition), ...validateApproval(definition, old), ...validatePreserve(spec, old.spec),
  ]
}

export function validateDefinitionStatus({ status }: CustomResourceDefinition): FieldError[] {
  return status?.acceptedNames ? validateNames(status.acceptedNames, 'status.acceptedNames') : []
}

/** `old`: what an update finds; what was let pass before is let pass again where upstream does. */
function validateSpec(spec: Spec, old: Spec | undefined, isEstablished: boolean): FieldError[] {
  const { group, names, scope } = spec
  return [
    ...validateGroup(group),
    ...oneOf('spec.scope', scope, ['Cluster', 'Namespaced'], 'required'),
    ...validateVersions(spec, old),
    ...(['plural', 'singular', 'kind', 'listKind'] as const).filter((key) => !names[key]).map((key) => required(`spec.names.${key}`)),
    ...validateNames(names, 'spec.names'),
    ...validateConversion(spec, old, isEstablished),
  ]
}

function validateGroup(group: string): FieldError[] {
  if (group === '') return [required('spec.group')]
  const wrong = checkDnsSubdomain(group)
  if (wrong.length > 0) return [invalid('spec.group', group, wrong.join(','))]
  return group.includes('.') ? [] : [invalid('spec.group', group, 'should be a domain with at least one dot')]
}

function validateVersions({ versions, preserveUnknownFields }: Spec, old: Spec | undefined): FieldError[] {
  const out: FieldError[] = []
  const common = { schema: isAlike(versions, (v) => v.schema), subresources: isAlike(versions, (v) => v.subresources), columns: isAlike(versions, (v) => v.additionalPrinterColumns ?? []), selectable: isAlike(versions, (v) => v.selectableFields ?? []) }
  const waived = brokenLaterRules(old?.versions.map((v) => v.schema?.openAPIV3Schema) ?? [])
  const unpruned = old?.versions.some(({ schema }) => schema?.openAPIV3Schema !== undefined && hasDefaults(schema.openAPIV3Schema) && hasUnprunedDefaults(schema.openAPIV3Schema)) ?? false
  const oldLacksSchema = old?.versions.some((v) => !v.schema?.openAPIV3Schema) ?? false
  if (preserveUnknownFields && versions.some((v) => hasDefaults(v.schema?.openAPIV3Schema))) out.push(invalid('spec.preserveUnknownFields', true, 'must be false in order to use defaults in the schema'))
  for (const [i, version] of versions.entries()) {
    const at = `spec.versions[${i}]`
    const schema = version.schema?.openAPIV3Schema
    if (!schema && (!oldLacksSchema || (version.served && !preserveUnknownFields))) out.push(required(`${at}.schema.openAPIV3Schema`, oldLacksSchema ? 'because otherwise all fields are pruned' : ''))
    const wrong = checkDns1035Label(version.name ?? '')
    if (wrong.length > 0) out.push(invalid(`${at}.name`, version.name ?? '', wrong.join(',')))
    // The first one was once the only one, and is held to its rule still.
    if (wrong.length > 0 && i === 0 && version.name) out.push(invalid('spec.version', version.name, wrong.join(',')))
    out.push(...deprecationErrors(version).map((message) => invalid(`${at}.deprecationWarning`, version.deprecationWarning ?? null, message)))
    const first = i === 0
    const own = (key: keyof typeof common, shared: string, single: string): string | undefined => (common[key] ? (first ? shared : undefined) : `${at}.${single}`)
    const oldVersion = old?.versions.find((v) => v.name === version.name)
    const schemaAt = own('schema', 'spec.validation', 'schema')
    if (schema && schemaAt !== undefined) {
      const hasStatus = common.schema ? versions.some((v) => v.subresources?.status) : version.subresources?.status !== undefined
      out.push(...validateSchema(schema, `${schemaAt}.openAPIV3Schema`, { hasStatus, old: oldVersion?.schema?.openAPIV3Schema, waived, unpruned }))
    }
    const subresourcesAt = own('subresources', 'spec.subresources', 'subresources')
    if (subresourcesAt !== undefined) out.push(...validateSubresources(version.subresources, subresourcesAt))
    const columnsAt = own('columns', 'spec.additionalPrinterColumns', 'additionalPrinterColumns')
    if (columnsAt !== undefined) for (const [c, column] of (version.additionalPrinterColumns ?? []).entries()) out.push(...validateColumn(column, `${columnsAt}[${c}]`))
    const selectableAt = own('selectable', 'spec.selectableFields', 'selectableFields')
    if (selectableAt !== undefined) out.push(...validateSelectable(version, common.schema && !common.selectable ? undefined : schema, selectableAt, oldVersion))
  }
  if (new Set(versions.map((v) => v.name)).size !== versions.length) out.push(invalid('spec.versions', versions, 'must contain unique version names'))
  if (versions.filter((v) => v.storage).length !== 1) out.push(invalid('spec.versions', versions, 'must have exactly one version marked as storage version'))
  return out
}

function hasDefaults(schema: JSONSchemaProps | undefined): boolean {
  let found = false
  visitSchemas(schema, (part) => { found ||= part.default !== undefined && part.default !== null })
  return found
}

const isAlike = (versions: readonly CustomResourceDefinitionVersion[], part: (version: CustomResourceDefinitionVersion) => unknown): boolean => versions.every((v) => equalJson(part(v), part(versions[0] as CustomResourceDefinitionVersion)))

const WARNING_LENGTH_MAX = 256

function deprecationErrors({ deprecated, deprecationWarning: text }: CustomResourceDefinitionVersion): string[] {
  if (text === undefined) return []
  if (!deprecated) return ['can only be set for deprecated versions']
  const out: string[] = []
  if (Buffer.byteLength(text) > WARNING_LENGTH_MAX) out.push('must be <= 256 characters long')
  if (text === '') out.push('must not be an empty string')
  const bad = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.exec(text)
  if (bad) out.push(`must only contain printable UTF-8 characters; non-printable character found at index ${Buffer.byteLength(text.slice(0, bad.index))}`)
  return out
}

export function validateNames(names: Partial<CustomResourceDefinitionNames>, at: string): FieldError[] {
  const { plural = '', singular = '', kind = '', listKind = '', shortNames = [], categories = [] } = names
  const out: FieldError[] = []
  const check = (field: string, value: string, before = '', text = value): void => {
    const wrong = value === '' ? [] : checkDns1035Label(text)
    if (wrong.length > 0) out.push(invalid(`${at}.${field}`, value, before + wrong.join(',')))
  }
  const mixed = 'may have mixed case, but should otherwise match: '
  check('plural', plural)
  check('singular', singular)
  check('kind', kind, mixed, kind.toLowerCase())
  check('listKind', listKind, mixed, listKind.toLowerCase())
  for (const [i, name] of shortNames.entries()) if (checkDns1035Label(name).length > 0) out.push(invalid(`${at}.shortNames[${i}]`, name, checkDns1035Label(name).join(',')))
  if (kind !== '' && kind === listKind) out.push(invalid(`${at}.listKind`, listKind, 'kind and listKind may not be the same'))
  for (const [i, name] of categories.entries()) if (checkDns1035Label(name).length > 0) out.push(invalid(`${at}.categories[${i}]`, name, checkDns1035Label(name).join(',')))
  return out
}

function validateSubresources(subresources: CustomResourceSubresources | undefined, at: string): FieldError[] {
  const { scale } = subresources ?? {}
  if (!scale) return []
  const path = (key: 'specReplicasPath' | 'statusReplicasPath', under: string): FieldError[] => {
    const field = `${at}.scale.${key}`
    const text = scale[key] ?? ''
    if (text === '') return [required(field)]
    const wrong = simplePath(text, field)
    return wrong.length > 0 ? wrong : text.startsWith(`${under}.`) ? [] : [invalid(field, text, `should be a json path under ${under}`)]
  }
  const out = [...path('specReplicasPath', '.spec'), ...path('statusReplicasPath', '.status')]
  const label = scale.labelSelectorPath
  if (!label) return out
  const wrong = simplePath(label, `${at}.scale.labelSelectorPath`)
  if (wrong.length > 0) return [...out, ...wrong]
  return /^\.(?:spec|status)\./.test(label) ? out : [...out, invalid(`${at}.scale.labelSelectorPath`, label, 'should be a json path under either .spec or .status')]
}

const simplePath = (text: string, at: string): FieldError[] => (text.startsWith('.') ? [] : [invalid(at, text, 'must be a simple json path starting with .')])

const COLUMN_TYPES = ['boolean', 'date', 'integer', 'number', 'string']
const COLUMN_FORMATS = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password']

function validateColumn({ name, type, format, jsonPath }: Partial<CustomResourceColumnDefinition>, at: string): FieldError[] {
  const out: FieldError[] = []
  const types = `must be one of ${COLUMN_TYPES.join(',')}`
  if (!name) out.push(required(`${at}.name`))
  if (!type) out.push(required(`${at}.type`, types))
  else if (!COLUMN_TYPES.includes(type)) out.push(invalid(`${at}.type`, type, types))
  if (format && !COLUMN_FORMATS.includes(format)) out.push(invalid(`${at}.format`, format, `must be one of ${COLUMN_FORMATS.join(',')}`))
  if (!jsonPath) out.push(required(`${at}.JSONPath`))
  else out.push(...simplePath(jsonPath, `${at}.JSONPath`))
  return out
}

function validateSelectable({ selectableFields = [] }: CustomResourceDefinitionVersion, schema: JSONSchemaProps | undefined, at: string, old: CustomResourceDefinitionVersion | undefined): FieldError[] {
  if (selectableFields.length === 0) return []
  if (!schema) return [invalid(at, '', at.startsWith('spec.versions') ? 'may only be set when `version.schema.openAPIV3Schema` is not included' : 'may only be set when validations.schema is included')]
  const out: FieldError[] = []
  const seen = new Set<string>()
  const root = compileSchema(schema)
  for (const [i, { jsonPath = '' }] of selectableFields.entries()) {
    const field = `${at}[${i}].jsonPath`
    if (jsonPath === '') {
      out.push(required(field))
      continue
    }
    const found = parseFieldPath(jsonPath, root, { arrayNotation: false })
    if (!found.ok) {
      out.push(invalid(field, jsonPath, `is an invalid path: ${found.message}`))
      continue
    }
    if (found.first === 'metadata') out.push(invalid(field, jsonPath, 'must not point to fields in metadata'))
    if (!['string', 'boolean', 'integer'].includes(found.node?.type ?? '')) out.push(invalid(field, jsonPath, 'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.'))
    if (seen.has(found.path)) out.push(duplicate(field, jsonPath))
    seen.add(found.path)
  }
  const wasTooMany = (old?.selectableFields?.length ?? 0) > SELECTABLE_MAX && equalJson(old?.selectableFields, selectableFields)
  if (seen.size > SELECTABLE_MAX && !wasTooMany) out.push(tooMany(at, seen.size, SELECTABLE_MAX))
  return out
}

const REVIEW_VERSIONS = ['v1', 'v1beta1']

function validateConversion({ conversion, preserveUnknownFields }: Spec, old: Spec | undefined, isEstablished: boolean): FieldError[] {
  if (!conversion) return []
  const { strategy, webhook } = conversion
  const out = preserveUnknownFields && strategy !== 'None' ? [invalid('spec.conversion.strategy', strategy, 'must be None if spec.preserveUnknownFields is true')] : []
  out.push(...oneOf('spec.conversion.strategy', strategy, ['None', 'Webhook'], 'required'))
  const client = webhook?.clientConfig
  if (strategy !== 'Webhook') {
    if (client) out.push(forbidden('spec.conversion.webhookClientConfig', 'should not be set when strategy is not set to Webhook'))
    if (webhook?.conversionReviewVersions?.length) out.push(forbidden('spec.conversion.conversionReviewVersions', 'should not be set when strategy is not set to Webhook'))
    return out
  }
  const at = 'spec.conversion.webhookClientConfig'
  if (!client) out.push(required(at, 'required when strategy is set to Webhook'))
  else {
    if ((client.url === undefined) === (client.service === undefined)) out.push(required(at, 'exactly one of url or service is required'))
    else if (client.url !== undefined) out.push(...validateWebhookUrl(`${at}.url`, client.url))
    else out.push(...validateWebhookService(`${at}.service`, client.service ?? {}))
    const bundleBefore = old?.conversion?.webhook?.clientConfig?.caBundle
    const mustBeBundle = isEstablished && (!bundleBefore || isCertificateBundle(bundleBefore))
    if (mustBeBundle && client.caBundle && !isCertificateBundle(client.caBundle)) out.push(invalid(`${at}.caBundle`, client.caBundle, 'unable to load root certificates: unable to parse bytes as PEM block'))
  }
  return [...out, ...validateReviewVersions(webhook?.conversionReviewVersions ?? [], old?.conversion?.webhook?.conversionReviewVersions ?? [])]
}

/** `before`: where none of these was known, none needs to be. */
function validateReviewVersions(versions: readonly string[], before: readonly string[]): FieldError[] {
  const at = 'spec.conversion.conversionReviewVersions'
  if (versions.length === 0) return [required(at)]
  const out = versions.flatMap((v, i) => (versions.indexOf(v) < i ? [invalid(`${at}[${i}]`, v, 'duplicate version')] : checkDns1035Label(v).map((m) => invalid(`${at}[${i}]`, v, m))))
  const isKnown = (list: readonly string[]): boolean => list.some((v) => REVIEW_VERSIONS.includes(v))
  return isKnown(versions) || (before.length > 0 && !isKnown(before)) ? out : [...out, invalid(at, versions, `must include at least one of ${REVIEW_VERSIONS.join(', ')}`)]
}

function validateStored({ spec, status }: CustomResourceDefinition): FieldError[] {
  const at = 'status.storedVersions'
  const stored = status?.storedVersions ?? []
  if (stored.length === 0) return [invalid(at, stored, 'must have at least one stored version')]
  const known = new Set((spec.versions ?? []).map((v) => v.name))
  const lacking = (spec.versions ?? []).filter((v) => v.storage && !stored.includes(v.name)).map((v) => invalid(at, stored, `must have the storage version ${v.name}`))
  return [...lacking, ...stored.flatMap((v, i) => (known.has(v) ? [] : [invalid(`${at}[${i}]`, v, `missing from spec.versions; ${v} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${v} and removes ${v} from status.storedVersions`)]))]
}

function validateApproval({ metadata, spec }: CustomResourceDefinition, old: CustomResourceDefinition | undefined): FieldError[] {
  if (!isProtectedGroup(spec.group ?? '')) return []
  const annotations = metadata?.annotations ?? {}
  const { state, reason } = apiApproval(annotations)
  if (old && apiApproval(old.metadata?.annotations ?? {}).state === state) return []
  const at = `metadata.annotations[${APPROVAL_ANNOTATION}]`
  if (state === 'missing') return [required(at, reason)]
  return state === 'invalid' ? [invalid(at, annotations[APPROVAL_ANNOTATION], reason)] : []
}

function validatePreserve(spec: Spec, old: Spec | undefined): FieldError[] {
  if (!spec.preserveUnknownFields || old?.preserveUnknownFields) return []
  return [invalid('spec.preserveUnknownFields', true, 'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead')]
}
