/** What LimitRanges and ResourceQuotas may say (upstream `ValidateLimitRange`, `ValidateResourceQuotaSpec`). */
import type { LimitRange, LimitRangeItem, ResourceQuota, ScopedResourceSelectorRequirement } from '#api/types/index.ts'
import { checkQualifiedName, compareQuantity, parseQuantity } from '#api/types/index.ts'
import { duplicate, type FieldError, forbidden, invalid, required } from '../field-error.ts'
import { named } from './check.ts'
import { mayOvercommit, OBJECT_COUNTS, validateAmount, validateContainerResourceName, validateResourceName } from './resource-name.ts'

const LIMIT_TYPES: ReadonlySet<string> = new Set(['Pod', 'Container', 'PersistentVolumeClaim'])
const LISTS = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const
const COMPUTE_QUOTAS = ['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory']
const QUOTAS: ReadonlySet<string> = new Set([...COMPUTE_QUOTAS, ...OBJECT_COUNTS, 'ephemeral-storage', 'requests.ephemeral-storage', 'limits.ephemeral-storage', 'requests.storage'])
const HUGE_PAGES = /^(?:requests\.)?hugepages-/
const POD_QUOTAS: ReadonlySet<string> = new Set(['pods', ...COMPUTE_QUOTAS])
/** Which standard quotas a scope says something about. */
const SCOPE_QUOTAS: Readonly<Record<string, ReadonlySet<string>>> = {
  Terminating: POD_QUOTAS, NotTerminating: POD_QUOTAS, NotBestEffort: POD_QUOTAS, PriorityClass: POD_QUOTAS, CrossNamespacePodAffinity: POD_QUOTAS,
  BestEffort: new Set(['pods']),
  VolumeAttributesClass: new Set(['persistentvolumeclaims', 'requests.storage']),
}
const EXISTENCE_SCOPES: ReadonlySet<string> = new Set(['Terminating', 'NotTerminating', 'BestEffort', 'NotBestEffort', 'CrossNamespacePodAffinity'])

export function validateLimitRange(range: LimitRange): FieldError[] {
  const types = new Set<string>()
  return (range.spec?.limits ?? []).flatMap((item, i) => {
    const at = `spec.limits[${i}]`
    const out = named(`${at}.type`, item.type, checkQualifiedName)
    if (out.length === 0 && !item.type.includes('/') && !LIMIT_TYPES.has(item.type)) out.push(invalid(`${at}.type`, item.type, 'must be a standard limit type or fully qualified'))
    if (types.has(item.type)) out.push(duplicate(`${at}.type`, item.type))
    types.add(item.type)
    return [...out, ...validateItem(at, item)]
  })
}

function validateItem(at: string, item: LimitRangeItem): FieldError[] {
  const out: FieldError[] = []
  for (const list of LISTS) {
    const entries = Object.entries(item[list] ?? {})
    const notForPods = item.type === 'Pod' && (list === 'default' || list === 'defaultRequest')
    if (notForPods && entries.length > 0) out.push(forbidden(`${at}.${list}`, "may not be specified when `type` is 'Pod'"))
    const checkName = item.type === 'Pod' || item.type === 'Container' ? validateContainerResourceName : validateResourceName
    if (!notForPods) for (const [name] of entries) out.push(...checkName(`${at}.${list}[${name}]`, name))
  }
  if (item.type === 'PersistentVolumeClaim' && item.min?.['storage'] === undefined && item.max?.['storage'] === undefined) out.push(required(`${at}.limits`, 'either minimum or maximum storage value is required, but neither was provided'))
  const names = new Set(LISTS.flatMap((list) => Object.keys(item[list] ?? {})))
  return [...out, ...[...names].flatMap((name) => validateOrder(at, name, item))]
}

function validateOrder(at: string, name: string, item: LimitRangeItem): FieldError[] {
  // A name may be any text, `__proto__` too.
  const of = (list: (typeof LISTS)[number]): string | undefined => { const values = item[list] ?? {}; return Object.hasOwn(values, name) ? values[name] : undefined }
  const [max, min, limit, request, ratio] = LISTS.map(of)
  const out: FieldError[] = []
  const order = (low: string | undefined, high: string | undefined, field: string, value: string | undefined, words: readonly [string, string]): void => {
    if (low !== undefined && high !== undefined && compareQuantity(low, high) > 0) out.push(invalid(`${at}.${field}[${name}]`, value, `${words[0]} ${low} is greater than ${words[1]} ${high}`))
  }
  order(min, max, 'min', min, ['min value', 'max value'])
  order(min, request, 'defaultRequest', request, ['min value', 'default request value'])
  order(request, max, 'defaultRequest', request, ['default request value', 'max value'])
  order(request, limit, 'defaultRequest', request, ['default request value', 'default limit value'])
  order(min, limit, 'default', min, ['min value', 'default value'])
  order(limit, max, 'default', max, ['default value', 'max value'])
  if (!mayOvercommit(name) && limit !== undefined && request !== undefined && compareQuantity(limit, request) !== 0) out.push(invalid(`${at}.defaultRequest[${name}]`, request, `default value ${limit} must equal to defaultRequest value ${request} in ${name}`))
  if (ratio === undefined) return out
  if (compareQuantity(ratio, '1') < 0) out.push(invalid(`${at}.maxLimitRequestRatio[${name}]`, ratio, `ratio ${ratio} is less than 1`))
  const limitRatio = min === undefined || max === undefined || parseQuantity(min).nano === 0n ? undefined : Number(parseQuantity(max).nano) / Number(parseQuantity(min).nano)
  if (limitRatio !== undefined && Number(parseQuantity(ratio).nano) / 1e9 > limitRatio) out.push(invalid(`${at}.maxLimitRequestRatio[${name}]`, ratio, `ratio ${ratio} is greater than max/min = ${limitRatio.toFixed(6)}`))
  return out
}

export function validateQuota(quota: ResourceQuota): FieldError[] {
  const spec = quota.spec ?? {}
  const hard = Object.keys(spec.hard ?? {})
  const out = amounts('spec.hard', spec.hard)
  const scopes = spec.scopes ?? []
  for (const scope of scopes) {
    if (!Object.hasOwn(SCOPE_QUOTAS, scope)) out.push(invalid('spec.scopes', scopes, 'unsupported scope'))
    for (const name of hard) if (!appliesTo(scope, name)) out.push(invalid('spec.scopes', scopes, 'unsupported scope applied to resource'))
  }
  out.push(...conflicts('spec.scopes', scopes, scopes))
  const requirements = spec.scopeSelector?.matchExpressions ?? []
  for (const requirement of requirements) out.push(...scopeRequirement('spec.scopeSelector.matchExpressions', requirement, hard, spec.scopeSelector))
  return [...out, ...conflicts('spec.scopeSelector.matchExpressions', requirements.map((r) => r.scopeName), scopes)]
}

export const validateQuotaStatus = ({ status }: ResourceQuota): FieldError[] => [...amounts('status.hard', status?.hard), ...amounts('status.used', status?.used)]

const amounts = (at: string, list: Readonly<Record<string, string>> | undefined): FieldError[] => Object.entries(list ?? {}).flatMap(([name, value]) => [...quotaName(`${at}[${name}]`, name), ...validateAmount(`${at}[${name}]`, name, value)])

/** `shown`: what upstream prints, which is the plain scopes for selectors too. */
function conflicts(at: string, scopes: readonly string[], shown: readonly string[]): FieldError[] {
  const pairs = [['BestEffort', 'NotBestEffort'], ['Terminating', 'NotTerminating']] as const
  return pairs.filter(([one, other]) => scopes.includes(one) && scopes.includes(other)).map(() => invalid(at, shown.length > 0 ? shown : null, 'conflicting scopes'))
}

function quotaName(at: string, name: string): FieldError[] {
  const out = validateResourceName(at, name)
  return name.includes('/') || QUOTAS.has(name) || HUGE_PAGES.test(name) ? out : [...out, invalid(at, name, 'must be a standard resource for quota')]
}

/** Quotas that are not standard ones may have any scope. */
function appliesTo(scope: string, name: string): boolean {
  return !QUOTAS.has(name) || (Object.hasOwn(SCOPE_QUOTAS, scope) ? (SCOPE_QUOTAS[scope]?.has(name) ?? true) : true)
}

function scopeRequirement(at: string, { scopeName, operator, values = [] }: ScopedResourceSelectorRequirement, hard: readonly string[], selector: unknown): FieldError[] {
  const out: FieldError[] = []
  if (!Object.hasOwn(SCOPE_QUOTAS, scopeName)) out.push(invalid(`${at}.scopeName`, scopeName, 'unsupported scope'))
  for (const name of hard) if (!appliesTo(scopeName, name)) out.push(invalid(at, selector, 'unsupported scope applied to resource'))
  if (EXISTENCE_SCOPES.has(scopeName) && operator !== 'Exists') out.push(invalid(`${at}.operator`, operator, "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"))
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length === 0) out.push(required(`${at}.values`, "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"))
  } else if (operator === 'Exists' || operator === 'DoesNotExist') {
    if (values.length > 0) out.push(invalid(`${at}.values`, values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"))
  } else out.push(invalid(`${at}.operator`, operator, 'not a valid selector operator'))
  return out
}
