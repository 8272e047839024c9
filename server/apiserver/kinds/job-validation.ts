/** How a Job counts its pods' ends: failure and success policies, indexes, who manages it (upstream pkg/apis/batch/validation). */
import type { Job, JobSpec, PodFailurePolicyRule, SuccessPolicyRule } from '#api/types/index.ts'
import { checkDnsLabel, checkQualifiedName } from '#api/types/index.ts'
import { duplicate, type FieldError, invalid, notSupported, required, tooLong, tooMany } from '../field-error.ts'
import { named, nonNegative } from './check.ts'
import { checkDomainPath } from './domain-path.ts'

const INDEXED_LIMIT = 100_000
/** Above `INDEXED_LIMIT` completions, with a backoff limit for each index. */
const HIGH_COMPLETIONS_LIMIT = 10_000
const RULES_MAX = 20
const EXIT_CODES_MAX = 255
const PATTERNS_MAX = 20
const MANAGED_BY_MAX = 63
const SUCCEEDED_INDEXES_MAX = 64 * 1024
const ACTIONS = ['Count', 'FailIndex', 'FailJob', 'Ignore']
const OPERATORS = ['In', 'NotIn']
const CONDITION_STATUSES = ['False', 'True', 'Unknown']
/** Go's %q of a list. */
const listed = (values: readonly string[]): string => `valid values: [${values.map((v) => JSON.stringify(v)).join(' ')}]`

export function validateJobEnds(at: string, spec: JobSpec): FieldError[] {
  const out: FieldError[] = []
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined) out.push(required(`${at}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'))
  if (spec.managedBy !== undefined) {
    out.push(...checkDomainPath(`${at}.managedBy`, spec.managedBy))
    if (spec.managedBy.length > MANAGED_BY_MAX) out.push(tooLong(`${at}.managedBy`, MANAGED_BY_MAX))
  }
  if (spec.completionMode !== undefined && spec.completionMode !== 'Indexed' && spec.completionMode !== 'NonIndexed') out.push(notSupported(`${at}.completionMode`, spec.completionMode, ['NonIndexed', 'Indexed']))
  if (spec.completionMode === 'Indexed') out.push(...indexedLimits(at, spec))
  if ((spec.completionMode ?? 'NonIndexed') === 'NonIndexed') {
    for (const key of ['backoffLimitPerIndex', 'maxFailedIndexes'] as const) if (spec[key] !== undefined) out.push(invalid(`${at}.${key}`, spec[key], 'requires indexed completion mode'))
  }
  if (spec.podFailurePolicy) out.push(...failurePolicy(`${at}.podFailurePolicy`, spec))
  if (spec.successPolicy) {
    if (spec.completionMode === 'Indexed') out.push(...successPolicy(`${at}.successPolicy`, spec))
    else out.push(invalid(`${at}.successPolicy`, spec.successPolicy, 'requires indexed completion mode'))
  }
  const replacements = spec.podFailurePolicy ? ['Failed'] : ['Failed', 'TerminatingOrFailed']
  if (spec.podReplacementPolicy !== undefined && !replacements.includes(spec.podReplacementPolicy)) out.push(notSupported(`${at}.podReplacementPolicy`, spec.podReplacementPolicy, replacements))
  return out
}

function indexedLimits(at: string, spec: JobSpec): FieldError[] {
  const { completions, parallelism = 0, maxFailedIndexes } = spec
  const out: FieldError[] = []
  if (completions === undefined) out.push(required(`${at}.completions`, 'when completion mode is Indexed'))
  if (parallelism > INDEXED_LIMIT) out.push(invalid(`${at}.parallelism`, parallelism, `must be less than or equal to ${INDEXED_LIMIT} when completion mode is Indexed`))
  if (completions !== undefined && maxFailedIndexes !== undefined && maxFailedIndexes > completions) out.push(invalid(`${at}.maxFailedIndexes`, maxFailedIndexes, 'must be less than or equal to completions'))
  if (maxFailedIndexes !== undefined && maxFailedIndexes > INDEXED_LIMIT) out.push(invalid(`${at}.maxFailedIndexes`, maxFailedIndexes, `must be less than or equal to ${INDEXED_LIMIT}`))
  if (completions === undefined || completions <= INDEXED_LIMIT || spec.backoffLimitPerIndex === undefined) return out
  const detail = `must be less than or equal to ${HIGH_COMPLETIONS_LIMIT} when completions are above ${INDEXED_LIMIT} and used with backoff limit per index`
  if (maxFailedIndexes === undefined) out.push(required(`${at}.maxFailedIndexes`, `must be specified when completions is above ${INDEXED_LIMIT}`))
  if (parallelism > HIGH_COMPLETIONS_LIMIT) out.push(invalid(`${at}.parallelism`, parallelism, detail))
  if (maxFailedIndexes !== undefined && maxFailedIndexes > HIGH_COMPLETIONS_LIMIT) out.push(invalid(`${at}.maxFailedIndexes`, maxFailedIndexes, detail))
  return out
}

function failurePolicy(at: string, spec: JobSpec): FieldError[] {
  const rules = spec.podFailurePolicy?.rules ?? []
  const { containers = [], initContainers = [] } = spec.template?.spec ?? {}
  const names = new Set([...containers, ...initContainers].map((c) => c.name))
  return [
    ...(rules.length > RULES_MAX ? [tooMany(`${at}.rules`, rules.length, RULES_MAX)] : []),
    ...rules.flatMap((rule, i) => failureRule(`${at}.rules[${i}]`, rule, spec, names)),
  ]
}

function failureRule(at: string, rule: PodFailurePolicyRule, spec: JobSpec, names: ReadonlySet<string>): FieldError[] {
  const out: FieldError[] = []
  if (!rule.action) out.push(required(`${at}.action`, listed(ACTIONS)))
  else if (rule.action === 'FailIndex') {
    if (spec.backoffLimitPerIndex === undefined) out.push(invalid(`${at}.action`, rule.action, 'requires the backoffLimitPerIndex to be set'))
  } else if (!ACTIONS.includes(rule.action)) out.push(notSupported(`${at}.action`, rule.action, ACTIONS))
  if (rule.onExitCodes) out.push(...exitCodes(`${at}.onExitCodes`, rule.onExitCodes, names))
  const patterns = rule.onPodConditions ?? []
  if (patterns.length > PATTERNS_MAX) out.push(tooMany(`${at}.onPodConditions`, patterns.length, PATTERNS_MAX))
  for (const [i, pattern] of patterns.entries()) {
    out.push(...named(`${at}.onPodConditions[${i}].type`, pattern.type, checkQualifiedName))
    if (!pattern.status) out.push(required(`${at}.onPodConditions[${i}].status`, listed(CONDITION_STATUSES)))
    else if (!CONDITION_STATUSES.includes(pattern.status)) out.push(notSupported(`${at}.onPodConditions[${i}].status`, pattern.status, CONDITION_STATUSES))
  }
  if (rule.onExitCodes && patterns.length > 0) out.push(withoutValue(at, 'specifying both OnExitCodes and OnPodConditions is not supported'))
  if (!rule.onExitCodes && patterns.length === 0) out.push(withoutValue(at, 'specifying one of OnExitCodes and OnPodConditions is required'))
  return out
}

/** Upstream's `field.OmitValueType`. */
export const withoutValue = (field: string, detail: string): FieldError => ({ type: 'FieldValueInvalid', field, message: `Invalid value: ${detail}` })

function exitCodes(at: string, given: NonNullable<PodFailurePolicyRule['onExitCodes']>, names: ReadonlySet<string>): FieldError[] {
  const out: FieldError[] = []
  if (!given.operator) out.push(required(`${at}.operator`, listed(OPERATORS)))
  else if (!OPERATORS.includes(given.operator)) out.push(notSupported(`${at}.operator`, given.operator, OPERATORS))
  if (given.containerName !== undefined && !names.has(given.containerName)) out.push(invalid(`${at}.containerName`, given.containerName, 'must be one of the container or initContainer names in the pod template'))
  const values = given.values ?? []
  if (values.length === 0) out.push(invalid(`${at}.values`, null, 'at least one value is required'))
  else if (values.length > EXIT_CODES_MAX) out.push(tooMany(`${at}.values`, values.length, EXIT_CODES_MAX))
  const seen = new Set<number>()
  for (const [i, value] of values.entries()) {
    if (given.operator === 'In' && value === 0) out.push(invalid(`${at}.values[${i}]`, value, 'must not be 0 for the In operator'))
    if (seen.has(value)) out.push(duplicate(`${at}.values[${i}]`, value))
    seen.add(value)
  }
  if (values.some((value, i) => i > 0 && (values[i - 1] ?? value) > value)) out.push(invalid(`${at}.values`, values, 'must be ordered'))
  return out
}

function successPolicy(at: string, spec: JobSpec): FieldError[] {
  const rules = spec.successPolicy?.rules ?? []
  const out = rules.length === 0 ? [required(`${at}.rules`, 'at least one rules must be specified when the successPolicy is specified')] : []
  if (rules.length > RULES_MAX) out.push(tooMany(`${at}.rules`, rules.length, RULES_MAX))
  return [...out, ...rules.flatMap((rule, i) => successRule(`${at}.rules[${i}]`, rule, spec.completions ?? 0))]
}

function successRule(at: string, rule: SuccessPolicyRule, completions: number): FieldError[] {
  const { succeededCount: count, succeededIndexes: indexes } = rule
  const out: FieldError[] = []
  if (count === undefined && indexes === undefined) out.push(required(at, 'at least one of succeededCount or succeededIndexes must be specified'))
  let total = 0
  if (indexes !== undefined) {
    if (indexes.length > SUCCEEDED_INDEXES_MAX) out.push(tooLong(`${at}.succeededIndexes`, SUCCEEDED_INDEXES_MAX))
    const read = countIndexes(indexes, completions)
    if (typeof read === 'number') total = read
    else out.push(invalid(`${at}.succeededIndexes`, indexes, `error parsing succeededIndexes: ${read}`))
  }
  if (count === undefined) return out
  out.push(...nonNegative(`${at}.succeededCount`, count))
  if (count > completions) out.push(invalid(`${at}.succeededCount`, count, `must be less than or equal to ${completions} (the number of specified completions)`))
  if (indexes !== undefined && count > total) out.push(invalid(`${at}.succeededCount`, count, `must be less than or equal to ${total} (the number of indexes in the specified succeededIndexes field)`))
  return out
}

/** How many indexes a text such as `1,3-5,7` names, or what is wrong with it. */
export function countIndexes(text: string, completions: number): number | string {
  if (text === '') return 0
  let [last, total] = [-1, 0]
  for (const interval of text.split(',')) {
    const limits = interval.split('-')
    if (limits.length > 2) return `the fragment ${JSON.stringify(interval)} violates the requirement that an index interval can have at most two parts separated by '-'`
    const before = total
    for (const limit of limits) {
      if (!/^\d+$/.test(limit)) return `cannot convert string to integer for index: ${JSON.stringify(limit)}`
      const index = Number(limit)
      if (index >= completions) return `too large index: ${JSON.stringify(limit)}`
      if (last >= index) return `non-increasing order, previous: ${last}, current: ${index}`
      total += total === before ? 1 : index - last
      last = index
    }
  }
  return total
}

/** An indexed Job's pods are named on the network after their index. */
export function validateIndexedName(job: Job): FieldError[] {
  const { completionMode, completions = 0 } = job.spec ?? {}
  if (completionMode !== 'Indexed' || completions <= 0) return []
  const name = job.metadata?.name ?? ''
  const hostname = `${name}-${completions - 1}`
  return checkDnsLabel(hostname).length === 0 ? [] : [invalid('metadata.name', name, `will not able to create pod with invalid DNS label: ${hostname}`)]
}
