/** DeviceTaintRule and ResourcePoolStatusRequest (resource.k8s.io). */
import type { V1alpha3ResourcePoolStatusRequest as ResourcePoolStatusRequest, V1beta2DeviceTaintRule as DeviceTaintRule } from '#api/types/index.ts'
import { checkDnsSubdomain, checkDnsSubdomainOfAnyCase } from '#api/types/index.ts'
import { type FieldError, invalid, required, tooLong, tooMany } from '../field-error.ts'
import type { Column, KindStrategy } from '../kind.ts'
import { keepStatus, RESET_FOR_STATUS } from './carry.ts'
import { immutable, named, requiredName } from './check.ts'
import { validateConditions } from './conditions.ts'
import { stampTaints, validateDevice, validateDriver, validatePool, validateTaint } from './device-names.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, column, count, nameColumn, since } from './table-columns.ts'

const RULE_CONDITIONS_MAX = 8
const REQUEST_CONDITIONS_MAX = 10
const POOLS_MAX = 1000
const LIMIT = 100
const POOL_ERROR_BYTES_MAX = 256

export const deviceTaintRuleStrategy: KindStrategy<DeviceTaintRule> = {
  statusKeepsMetadata: RESET_FOR_STATUS,
  prepareCreate(rule, ctx) {
    rule.status = {}
    if (rule.spec?.taint) stampTaints([rule.spec.taint], ctx.nowMs)
  },
  prepareUpdate(rule, old, ctx) {
    keepStatus(rule, old)
    if (!rule.spec?.taint) return
    const { taint } = rule.spec
    // It tells since when the effect is this: tolerations count from it. Whoever says when is taken at his word.
    if (taint.effect !== old.spec?.taint.effect && taint.timeAdded === old.spec?.taint.timeAdded) delete taint.timeAdded
    stampTaints([taint], ctx.nowMs)
  },
  generation: (rule, old) => !semanticEqual(rule.spec, old.spec),
  validate: (rule) => validateRule(rule, undefined),
  validateUpdate: validateRule,
  validateStatusUpdate: (rule) => conditions(rule.status?.conditions, RULE_CONDITIONS_MAX),
  columns: [
    nameColumn(),
    column('Key', 'The taint key to be applied to a device. Must be a label name.', (o) => o.spec?.taint.key ?? ''),
    column('Value', 'The taint value corresponding to the taint key. Must be a label value.', (o) => o.spec?.taint.value ?? ''),
    column('Effect', 'The effect of the taint on claims that do not tolerate the taint and through such claims on the pods using them.', (o) => o.spec?.taint.effect ?? ''),
    column('TimeAdded', 'TimeAdded represents the time at which the taint was added.', (o, nowMs) => (o.spec?.taint.timeAdded ? since(o.spec.taint.timeAdded, nowMs) : '')),
    ageColumn(),
  ],
}

type Conditions = NonNullable<DeviceTaintRule['status']>['conditions']
const conditions = (list: Conditions, max: number): FieldError[] => [...validateConditions('status.conditions', list), ...((list ?? []).length > max ? [tooMany('status.conditions', (list ?? []).length, max)] : [])]

function validateRule(rule: DeviceTaintRule, old: DeviceTaintRule | undefined): FieldError[] {
  const { driver, pool, device } = rule.spec?.deviceSelector ?? {}
  return [
    ...(driver === undefined ? [] : validateDriver('spec.deviceSelector.driver', driver)),
    ...(pool === undefined ? [] : validatePool('spec.deviceSelector.pool', pool)),
    ...(device === undefined ? [] : validateDevice('spec.deviceSelector.device', device)),
    ...validateTaint('spec.taint', rule.spec?.taint ?? {}, old?.spec?.taint),
  ]
}

type Pool = NonNullable<NonNullable<ResourcePoolStatusRequest['status']>['pools']>[number]

/** The condition that says how it ended. */
const ending = ({ status }: ResourcePoolStatusRequest) => status?.conditions?.find((c) => c.status === 'True' && (c.type === 'Complete' || c.type === 'Failed'))

/** Nothing is known before there is a status, nor of what failed. */
const summed = (name: string, description: string, of: (pool: Pool) => number): Column<ResourcePoolStatusRequest> =>
  column(name, description, (o) => (!o.status || ending(o)?.type === 'Failed' ? '-' : String((o.status.pools ?? []).reduce((sum, pool) => sum + of(pool), 0))))

export const resourcePoolStatusRequestStrategy: KindStrategy<ResourcePoolStatusRequest> = {
  requiresRevision: true,
  statusKeepsMetadata: RESET_FOR_STATUS,
  generation: false,
  defaults(request) {
    if (request.spec) request.spec.limit ??= LIMIT
  },
  prepareCreate: (request) => { delete request.status },
  prepareUpdate: keepStatus,
  validate(request) {
    const { driver, poolName, limit }: Partial<ResourcePoolStatusRequest['spec']> = request.spec ?? {}
    const out = [...validatePoolDriver('spec.driver', driver), ...(poolName === undefined ? [] : validatePool('spec.poolName', poolName))]
    if (limit !== undefined && limit < 1) out.push(invalid('spec.limit', limit, 'must be greater than or equal to 1'))
    if (limit !== undefined && limit > POOLS_MAX) out.push(invalid('spec.limit', limit, `must be less than or equal to ${POOLS_MAX}`))
    return out
  },
  validateUpdate: (request, old) => immutable('spec', request.spec, old.spec),
  validateStatusUpdate(request, old) {
    if (old.status && !semanticEqual(request.status, old.status)) return immutable('status', request.status, old.status)
    if (!request.status) return []
    const { poolCount, pools = [] }: Partial<NonNullable<ResourcePoolStatusRequest['status']>> = request.status
    const out = conditions(request.status.conditions, REQUEST_CONDITIONS_MAX)
    if (poolCount === undefined) out.push(required('status.poolCount'))
    else if (poolCount < 0) out.push(invalid('status.poolCount', poolCount, 'must be greater than or equal to 0'))
    if (pools.length > POOLS_MAX) return [...out, tooMany('status.pools', pools.length, POOLS_MAX)]
    return [...out, ...pools.flatMap((pool, i) => [...validatePoolDriver(`status.pools[${i}].driver`, pool.driver), ...validatePool(`status.pools[${i}].poolName`, pool.poolName), ...validatePoolState(`status.pools[${i}]`, pool)])]
  },
  columns: [
    nameColumn(),
    column('Driver', 'The driver to query pools for.', (o) => o.spec?.driver ?? ''),
    summed('Total', 'Total number of devices across all pools.', (pool) => pool.totalDevices ?? 0),
    summed('Available', 'Number of available devices across all pools.', (pool) => pool.availableDevices ?? 0),
    summed('Allocated', 'Number of allocated devices across all pools.', (pool) => pool.allocatedDevices ?? 0),
    summed('Unavailable', 'Number of unavailable devices across all pools.', (pool) => pool.unavailableDevices ?? 0),
    summed('Errors', 'Number of pools with validation errors.', (pool) => (pool.validationError === undefined ? 0 : 1)),
    count('Pools', 'Total number of matching pools.', (o) => o.status?.poolCount ?? 0),
    column('Status', 'Processing status.', progressText),
    column('Completed', 'Time since the observation completed.', (o, nowMs) => (ending(o)?.type === 'Complete' ? since(ending(o)?.lastTransitionTime, nowMs) : '<none>')),
  ],
}

/** Of either case. */
const validatePoolDriver = (at: string, name: string | undefined): FieldError[] => requiredName(at, name, checkDnsSubdomainOfAnyCase)

const COUNTS = ['totalDevices', 'allocatedDevices', 'availableDevices', 'unavailableDevices'] as const

function validatePoolState(at: string, pool: Pool): FieldError[] {
  const atLeast = (key: 'generation' | 'resourceSliceCount' | typeof COUNTS[number], least: number): FieldError[] => ((pool[key] ?? least) < least ? [invalid(`${at}.${key}`, pool[key], `must be greater than or equal to ${least}`)] : [])
  return [
    ...(pool.generation ? atLeast('generation', 0) : [required(`${at}.generation`)]), ...atLeast('resourceSliceCount', 1), ...COUNTS.flatMap((key) => atLeast(key, 0)),
    ...(pool.nodeName === undefined ? [] : named(`${at}.nodeName`, pool.nodeName, checkDnsSubdomain)),
    ...(Buffer.byteLength(pool.validationError ?? '') > POOL_ERROR_BYTES_MAX ? [tooLong(`${at}.validationError`, POOL_ERROR_BYTES_MAX)] : []),
  ]
}

function progressText(request: ResourcePoolStatusRequest): string {
  const state = ending(request)?.type ?? 'Pending'
  const [listed, all] = [request.status?.pools?.length ?? 0, request.status?.poolCount ?? 0]
  return state === 'Complete' && all > listed ? `Complete (${listed}/${all} pools)` : state
}
