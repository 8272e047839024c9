/** Validation of metadata, the same for every kind (apimachinery `api/validation`). registry.ts puts it before each kind's own checks. */
import type { KubeObject, ObjectMeta } from '#api/types/index.ts'
import { checkConfigKey, checkDns1035Label, checkDnsLabel, checkDnsSubdomain, checkPathSegment, checkQualifiedName, maskTrailingDash } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, required, tooLong } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { checkLabels, FIELD_IMMUTABLE, immutable, named } from './check.ts'
import { checkIpName } from './endpoint-ip.ts'

export type NameRule = NonNullable<KindStrategy<KubeObject>['nameRule']>

/** Upstream's limit on all keys and values of annotations together. */
export const ANNOTATIONS_BYTES_MAX = 256 * 1024

const NAME_RULES: Record<NameRule, (name: string) => string[]> = {
  'dns-label': checkDnsLabel,
  'dns-subdomain': checkDnsSubdomain,
  'dns-1035-label': checkDns1035Label,
  'path-segment': checkPathSegment,
  'config-key': checkConfigKey,
  'ip-address': checkIpName,
}

/** Of these, what a name begins with may end in a dash. */
const PREFIX_RULES: ReadonlySet<NameRule> = new Set<NameRule>(['dns-label', 'dns-subdomain', 'dns-1035-label'])

/** `finalizers` 'plain': names without a slash are any qualified names (the kinds that upstream checks by apimachinery alone). */
export interface MetaRules { namespaced: boolean; nameRule: NameRule; generateNameRule?: 'path-segment'; finalizers?: 'plain' }

export function validateMeta(meta: ObjectMeta, rules: MetaRules): FieldError[] {
  const check = NAME_RULES[rules.nameRule]
  const out: FieldError[] = []
  const prefixRule = rules.generateNameRule ?? rules.nameRule
  if (meta.generateName) out.push(...named('metadata.generateName', meta.generateName, (text) => NAME_RULES[prefixRule](PREFIX_RULES.has(prefixRule) ? maskTrailingDash(text) : text)))
  out.push(...(meta.name ? named('metadata.name', meta.name, check) : [required('metadata.name', 'name or generateName is required')]))
  if (!rules.namespaced) out.push(...(meta.namespace ? [forbidden('metadata.namespace', 'not allowed on this type')] : []))
  else out.push(...(meta.namespace ? named('metadata.namespace', meta.namespace, checkDnsLabel) : [required('metadata.namespace')]))
  return [...out, ...validateCommon(meta), ...validateFinalizers(meta.finalizers ?? []), ...(rules.finalizers === 'plain' ? [] : standardFinalizers(meta.finalizers ?? []))]
}

/** The same for every update, of whatever part: a name that is to be generated is none any more, so that it need only fit into a path. */
export function validateMetaUpdate(meta: ObjectMeta, old: ObjectMeta, finalizers?: 'plain'): FieldError[] {
  const out: FieldError[] = []
  if (old.deletionTimestamp) {
    const added = (meta.finalizers ?? []).filter((f) => !old.finalizers?.includes(f)).sort()
    if (added.length > 0) out.push(forbidden('metadata.finalizers', `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((f) => JSON.stringify(f)).join(', ')}}`))
  }
  if (!meta.resourceVersion) out.push(invalid('metadata.resourceVersion', meta.resourceVersion ?? '', 'must be specified for an update'))
  for (const key of ['name', 'namespace', 'uid', 'creationTimestamp', 'deletionTimestamp'] as const) out.push(...immutable(`metadata.${key}`, meta[key], old[key]))
  // No grace is not the same as none of 0 seconds.
  if (meta.deletionGracePeriodSeconds !== old.deletionGracePeriodSeconds) out.push(invalid('metadata.deletionGracePeriodSeconds', meta.deletionGracePeriodSeconds, FIELD_IMMUTABLE))
  if (meta.generateName) out.push(...named('metadata.generateName', meta.generateName, checkPathSegment))
  return [...out, ...validateCommon(meta), ...validateFinalizers(meta.finalizers ?? []), ...(finalizers === 'plain' ? [] : standardFinalizers(meta.finalizers ?? []))]
}

function validateCommon(meta: ObjectMeta): FieldError[] {
  return [...checkLabels('metadata.labels', meta.labels), ...validateAnnotations('metadata.annotations', meta.annotations), ...validateOwners(meta)]
}

export function validateAnnotations(field: string, annotations: Readonly<Record<string, string>> | undefined): FieldError[] {
  let sizeBytes = 0
  const out: FieldError[] = []
  for (const [key, value] of Object.entries(annotations ?? {})) {
    out.push(...checkQualifiedName(key.toLowerCase()).map((m) => invalid(field, key, m)))
    sizeBytes += Buffer.byteLength(key) + Buffer.byteLength(value)
  }
  if (sizeBytes > ANNOTATIONS_BYTES_MAX) out.push(tooLong(field, ANNOTATIONS_BYTES_MAX))
  return out
}

/** Upstream tells none of them by its number. */
function validateOwners(meta: ObjectMeta): FieldError[] {
  const at = 'metadata.ownerReferences'
  const out: FieldError[] = []
  let controller = ''
  for (const owner of meta.ownerReferences ?? []) {
    if (!/^([^/]*\/)?[^/]+$/.test(owner.apiVersion ?? '')) out.push(invalid(`${at}.apiVersion`, owner.apiVersion ?? '', 'version must not be empty'))
    for (const key of ['kind', 'name', 'uid'] as const) if (!owner[key]) out.push(invalid(`${at}.${key}`, owner[key] ?? '', 'must not be empty'))
    if (owner.apiVersion === 'v1' && owner.kind === 'Event') out.push(invalid(at, owner, '/v1, Kind=Event is disallowed from being an owner'))
    if (!owner.controller) continue
    const current = `${owner.kind}/${owner.name}`
    if (controller === '') controller = current
    else out.push(invalid(at, meta.ownerReferences, `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${current}`))
  }
  return out
}

function validateFinalizers(finalizers: readonly string[]): FieldError[] {
  const out = finalizers.flatMap((f) => named('metadata.finalizers', f, checkQualifiedName))
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) out.push(invalid('metadata.finalizers', finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'))
  return out
}

const STANDARD_FINALIZERS: ReadonlySet<string> = new Set(['kubernetes', 'orphan', 'foregroundDeletion'])

/** Of pkg/apis/core: a finalizer is one of the standard ones or fully qualified. */
export const standardFinalizer = (at: string, name: string): FieldError[] => (name.includes('/') || STANDARD_FINALIZERS.has(name) ? [] : [invalid(at, name, 'name is neither a standard finalizer name nor is it fully qualified')])

const standardFinalizers = (finalizers: readonly string[]): FieldError[] => finalizers.flatMap((f, i) => standardFinalizer(`metadata.finalizers[${i}]`, f))
