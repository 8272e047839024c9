/** LimitRanges and ResourceQuotas. */
import type { LimitRange, LimitRangeItem, ResourceQuota } from '#api/types/index.ts'
import { checkQualifiedName, compareQuantity } from '#api/types/index.ts'
import { duplicate, type FieldError, forbidden, invalid, required } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { keepStatus } from './carry.ts'
import { immutable, named, oneOf, quantity } from './check.ts'
import { ageColumn, column, createdAtColumn, nameColumn } from './table-columns.ts'

export const limitRangeStrategy: KindStrategy<LimitRange> = {
  generation: false,
  defaults(range) {
    for (const item of range.spec?.limits ?? []) {
      if (item.type !== 'Container') continue
      item.default = { ...item.max, ...item.default }
      item.defaultRequest = { ...item.min, ...item.default, ...item.defaultRequest }
    }
  },
  validate: validateRange,
  validateUpdate: validateRange,
  columns: [nameColumn(), createdAtColumn()],
}

function validateRange(range: LimitRange): FieldError[] {
  const types = new Set<string>()
  return (range.spec?.limits ?? []).flatMap((item, i) => {
    const at = `spec.limits[${i}]`
    const out: FieldError[] = item.type ? [] : [required(`${at}.type`)]
    if (types.has(item.type)) out.push(duplicate(`${at}.type`, item.type))
    types.add(item.type)
    if (item.type === 'Pod') {
      if (item.default && Object.keys(item.default).length > 0) out.push(forbidden(`${at}.default`, 'may not be specified when `type` is \'Pod\''))
      if (item.defaultRequest && Object.keys(item.defaultRequest).length > 0) out.push(forbidden(`${at}.defaultRequest`, 'may not be specified when `type` is \'Pod\''))
    }
    return [...out, ...validateItem(at, item)]
  })
}

function validateItem(at: string, item: LimitRangeItem): FieldError[] {
  const out: FieldError[] = []
  for (const key of ['max', 'min', 'default', 'defaultRequest'] as const) for (const [name, value] of Object.entries(item[key] ?? {})) out.push(...quantity(`${at}.${key}[${name}]`, value))
  if (out.length > 0) return out
  const order = (low: 'min' | 'defaultRequest' | 'default', high: 'default' | 'defaultRequest' | 'max', words: string) => {
    for (const [name, value] of Object.entries(item[low] ?? {})) {
      const bounds = item[high] ?? {}
      // A name may be any text, `__proto__` too.
      const bound = Object.hasOwn(bounds, name) ? bounds[name] : undefined
      if (bound !== undefined && compareQuantity(value, bound) > 0) out.push(invalid(`${at}.${low}[${name}]`, value, `${words} ${bound}`.replace('%v', value)))
    }
  }
  order('min', 'max', 'min value %v is greater than max value')
  order('min', 'defaultRequest', 'min value %v is greater than default request value')
  order('defaultRequest', 'max', 'default request value %v is greater than max value')
  order('defaultRequest', 'default', 'default request value %v is greater than default limit value')
  order('default', 'max', 'default value %v is greater than max value')
  return out
}

export const resourceQuotaStrategy: KindStrategy<ResourceQuota> = {
  generation: false,
  prepareCreate: (quota) => { quota.status = {} },
  prepareUpdate: keepStatus,
  validate: validateQuota,
  validateUpdate: (quota, old) => [...validateQuota(quota), ...immutable('spec.scopes', quota.spec?.scopes, old.spec?.scopes), ...immutable('spec.scopeSelector', quota.spec?.scopeSelector, old.spec?.scopeSelector)],
  columns: [
    nameColumn(),
    column('Request', 'Request represents a minimum amount of cpu/memory that a container may consume.', (o) => usage(o, (name) => !name.startsWith('limits.'))),
    column('Limit', 'Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.', (o) => usage(o, (name) => name.startsWith('limits.'))),
    ageColumn(),
  ],
}

function usage(quota: ResourceQuota, wanted: (name: string) => boolean): string {
  return Object.entries(quota.status?.hard ?? {}).filter(([name]) => wanted(name)).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, hard]) => `${name}: ${quota.status?.used?.[name] ?? '0'}/${hard}`).join(', ')
}

function validateQuota(quota: ResourceQuota): FieldError[] {
  const out = Object.entries(quota.spec?.hard ?? {}).flatMap(([name, value]) => [...named(`spec.hard[${name}]`, name, checkQualifiedName), ...quantity(`spec.hard[${name}]`, value)])
  return [...out, ...(quota.spec?.scopes ?? []).flatMap((scope) => oneOf('spec.scopes', scope, ['BestEffort', 'CrossNamespacePodAffinity', 'NotBestEffort', 'NotTerminating', 'PriorityClass', 'Terminating', 'VolumeAttributesClass']))]
}
