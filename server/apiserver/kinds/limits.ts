/** LimitRanges and ResourceQuotas. */
import type { LimitRange, ResourceQuota } from '#api/types/index.ts'
import { uuid } from '#base/random.ts'
import type { KindStrategy } from '../kind.ts'
import { keepStatus } from './carry.ts'
import { FIELD_IMMUTABLE } from './check.ts'
import { invalid } from '../field-error.ts'
import { validateLimitRange, validateQuota, validateQuotaStatus } from './limit-validation.ts'
import { ageColumn, column, createdAtColumn, nameColumn } from './table-columns.ts'

export const limitRangeStrategy: KindStrategy<LimitRange> = {
  generation: false,
  // The one kind that needs no name.
  prepareCreate: (range, ctx) => { (range.metadata ??= {}).name ||= uuid(ctx.random) },
  defaults(range) {
    for (const item of range.spec?.limits ?? []) {
      if (item.type !== 'Container') continue
      item.default = { ...item.max, ...item.default }
      item.defaultRequest = { ...item.min, ...item.default, ...item.defaultRequest }
    }
  },
  validate: validateLimitRange,
  validateUpdate: validateLimitRange,
  columns: [nameColumn(), createdAtColumn()],
}

export const resourceQuotaStrategy: KindStrategy<ResourceQuota> = {
  generation: false,
  prepareCreate: (quota) => { quota.status = {} },
  prepareUpdate: keepStatus,
  validate: validateQuota,
  validateUpdate: (quota, old) => [...validateQuota(quota), ...(isSameSet(quota.spec?.scopes, old.spec?.scopes) ? [] : [invalid('spec.scopes', quota.spec?.scopes ?? null, FIELD_IMMUTABLE)])],
  validateStatusUpdate: validateQuotaStatus,
  columns: [
    nameColumn(),
    column('Request', 'Request represents a minimum amount of cpu/memory that a container may consume.', (o) => usage(o, (name) => !name.startsWith('limits.'))),
    column('Limit', 'Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.', (o) => usage(o, (name) => name.startsWith('limits.'))),
    ageColumn(),
  ],
}

const isSameSet = (a: readonly string[] = [], b: readonly string[] = []): boolean => a.every((scope) => b.includes(scope)) && b.every((scope) => a.includes(scope))

function usage(quota: ResourceQuota, wanted: (name: string) => boolean): string {
  return Object.entries(quota.status?.hard ?? {}).filter(([name]) => wanted(name)).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, hard]) => `${name}: ${quota.status?.used?.[name] ?? '0'}/${hard}`).join(', ')
}
