/**
 * What may be said of a Job, by its controller or another one (upstream `ValidateJobStatusUpdate` with the options of `getStatusValidationOptions`).
 * Rules look at what an update changes: what was not right before may be said again.
 */
import type { Job } from '#api/types/index.ts'
import { duplicate, type FieldError, invalid, required } from '../field-error.ts'
import { nonNegative } from './check.ts'
import { countIndexes, withoutValue } from './job-validation.ts'
import { semanticEqual } from './semantic-equal.ts'

const CONDITIONS = 'status.conditions'

const is = (job: Job, type: string, status = 'True'): boolean => job.status?.conditions?.some((c) => c.type === type && c.status === status) ?? false
const isFinished = (job: Job): boolean => is(job, 'Complete') || is(job, 'Failed')

export function validateJobStatus(job: Job, old: Job): FieldError[] {
  return [...validateNumbers(job), ...validateEnd(job, old), ...validateIndexes(job, old), ...validateSuccess(job), ...validateChange(job, old)]
}

function validateNumbers({ status = {} }: Job): FieldError[] {
  const out = (['active', 'succeeded', 'failed', 'ready', 'terminating'] as const).flatMap((key) => nonNegative(`status.${key}`, status[key]))
  const seen = new Set<string>()
  for (const list of ['succeeded', 'failed'] as const) {
    for (const [i, uid] of (status.uncountedTerminatedPods?.[list] ?? []).entries()) {
      const at = `status.uncountedTerminatedPods.${list}[${i}]`
      if (uid === '') out.push(invalid(at, uid, 'must not be empty'))
      else if (seen.has(uid)) out.push(duplicate(at, uid))
      seen.add(uid)
    }
  }
  return out
}

/** `changed`: of any of these conditions or fields. */
type Changed = (...what: readonly (string | readonly [field: string])[]) => boolean

function changes(job: Job, old: Job): Changed {
  const of = (j: Job, [field]: readonly [string]): unknown => (j.status as Readonly<Record<string, unknown>> | undefined)?.[field]
  return (...what) => what.some((w) => (typeof w === 'string' ? is(job, w) !== is(old, w) : !semanticEqual(of(job, w), of(old, w), w[0])))
}

function validateEnd(job: Job, old: Job): FieldError[] {
  const changed = changes(job, old)
  const { status = {}, spec } = job
  const { startTime, completionTime } = status
  const [complete, failed, finished] = [is(job, 'Complete'), is(job, 'Failed'), isFinished(job)]
  const ends = finished !== isFinished(old)
  const out: FieldError[] = []
  const rule = (applies: boolean, broken: boolean, error: () => FieldError): void => { if (applies && broken) out.push(error()) }
  const condition = (detail: string) => () => withoutValue(CONDITIONS, detail)
  rule(changed('Complete', 'Failed'), complete && failed, condition('cannot set Complete=True and Failed=true conditions'))
  rule(changed('Complete', 'FailureTarget'), complete && is(job, 'FailureTarget'), condition('cannot set Complete=True and FailureTarget=true conditions'))
  rule(changed('Complete', ['completionTime']), completionTime !== undefined && !complete, () => invalid('status.completionTime', completionTime, 'cannot set completionTime when there is no Complete=True condition'))
  rule(changed('Complete', ['completionTime']), completionTime === undefined && complete, () => required('status.completionTime', 'completionTime is required for Complete jobs'))
  rule(changed(['startTime'], ['completionTime']), startTime !== undefined && completionTime !== undefined && Date.parse(completionTime) < Date.parse(startTime), () => invalid('status.completionTime', completionTime, 'must be equal to or after `startTime`'))
  rule(changed('Failed', ['failedIndexes']), failed && !is(job, 'FailureTarget'), condition('cannot set Failed=True condition without the FailureTarget=true condition'))
  rule(changed('Complete', 'SuccessCriteriaMet'), complete && !is(job, 'SuccessCriteriaMet'), condition('cannot set Complete=True condition without the SuccessCriteriaMet=true condition'))
  rule(ends || changed(['active']), finished && (status.active ?? 0) > 0, () => invalid('status.active', status.active, 'active>0 is invalid for finished job'))
  const neverBegins = spec?.suspend === true && spec.completions === 0
  rule((ends || changed(['startTime'])) && !neverBegins, finished && startTime === undefined, () => required('status.startTime', 'startTime is required for finished job'))
  const { succeeded = [], failed: uncounted = [] } = status.uncountedTerminatedPods ?? {}
  rule(ends || changed(['uncountedTerminatedPods']), finished && succeeded.length + uncounted.length > 0, () => invalid('status.uncountedTerminatedPods', status.uncountedTerminatedPods, 'must be empty for finished job'))
  rule(ends || changed(['terminating']), finished && (status.terminating ?? 0) > 0, () => invalid('status.terminating', status.terminating, 'terminating>0 is invalid for finished job'))
  rule(changed(['ready'], ['active']), (status.ready ?? 0) > (status.active ?? 0), () => invalid('status.ready', status.ready, 'cannot set more ready pods than active'))
  return out
}

function validateIndexes(job: Job, old: Job): FieldError[] {
  const changed = changes(job, old)
  const { completedIndexes: done = '', failedIndexes: failed } = job.status ?? {}
  const { completions, backoffLimitPerIndex, completionMode } = job.spec ?? {}
  const out: FieldError[] = []
  const format = (key: 'completedIndexes' | 'failedIndexes', text: string): void => {
    const read = countIndexes(text, completions ?? 0)
    if (typeof read === 'string') out.push(invalid(`status.${key}`, text, `error parsing ${key}: ${read}`))
  }
  if (changed(['completedIndexes']) && completions !== undefined) format('completedIndexes', done)
  if (changed(['failedIndexes']) && completions !== undefined && backoffLimitPerIndex !== undefined && failed !== undefined) format('failedIndexes', failed)
  if (changed(['completedIndexes']) && done !== '' && completionMode !== 'Indexed') out.push(invalid('status.completedIndexes', done, 'cannot set non-empty completedIndexes when non-indexed completion mode'))
  if (changed(['failedIndexes']) && failed !== undefined && backoffLimitPerIndex === undefined) out.push(invalid('status.failedIndexes', failed, 'cannot set non-null failedIndexes when backoffLimitPerIndex is null'))
  if (changed(['failedIndexes'], ['completedIndexes']) && completions !== undefined && failed !== undefined) {
    const both = firstInBoth(intervals(done, completions), intervals(failed, completions))
    if (both !== undefined) out.push(invalid('status.failedIndexes', failed, `failedIndexes and completedIndexes overlap at index: ${both}`))
  }
  return out
}

/** Nothing of what is malformed: that is told elsewhere. */
function intervals(text: string, completions: number): readonly (readonly [first: number, last: number])[] {
  if (text === '' || typeof countIndexes(text, completions) === 'string') return []
  return text.split(',').map((interval) => {
    const [first = 0, last = first] = interval.split('-').map(Number)
    return [first, last] as const
  })
}

/** Of two lists in order. */
function firstInBoth(a: ReturnType<typeof intervals>, b: ReturnType<typeof intervals>): number | undefined {
  for (let [i, j] = [0, 0]; ;) {
    const [one, other] = [a[i], b[j]]
    if (!one || !other) return undefined
    const first = Math.max(one[0], other[0])
    if (first <= Math.min(one[1], other[1])) return first
    if (one[0] <= other[0]) i++
    else j++
  }
}

function validateSuccess(job: Job): FieldError[] {
  const met = is(job, 'SuccessCriteriaMet')
  const out: FieldError[] = []
  if (met && is(job, 'Failed')) out.push(withoutValue(CONDITIONS, 'cannot set SuccessCriteriaMet=True and Failed=true conditions'))
  if (met && is(job, 'FailureTarget')) out.push(withoutValue(CONDITIONS, 'cannot set SuccessCriteriaMet=True and FailureTarget=true conditions'))
  if (job.spec?.successPolicy && !met && is(job, 'Complete')) out.push(withoutValue(CONDITIONS, 'cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True'))
  return out
}

function validateChange(job: Job, old: Job): FieldError[] {
  const [status, before] = [job.status ?? {}, old.status ?? {}]
  const out: FieldError[] = []
  for (const type of ['Failed', 'Complete', 'FailureTarget']) if (is(old, type) && !is(job, type)) out.push(withoutValue(CONDITIONS, `cannot disable the terminal ${type}=True condition`))
  if ((status.failed ?? 0) < (before.failed ?? 0)) out.push(invalid('status.failed', status.failed ?? 0, 'cannot decrease the failed counter'))
  // Indexed Jobs of which all run at once may be made smaller.
  const mayShrink = job.spec?.completionMode === 'Indexed' && job.spec.completions === job.spec.parallelism
  if (!mayShrink && (status.succeeded ?? 0) < (before.succeeded ?? 0)) out.push(invalid('status.succeeded', status.succeeded ?? 0, 'cannot decrease the succeeded counter'))
  if (status.completionTime !== undefined && before.completionTime !== undefined && status.completionTime !== before.completionTime) out.push(invalid('status.completionTime', status.completionTime, 'field is immutable'))
  const resumes = is(old, 'Suspended') && is(job, 'Suspended', 'False')
  if (before.startTime !== undefined && status.startTime !== before.startTime && !resumes && job.spec?.suspend !== true) out.push(invalid('status.startTime', status.startTime ?? null, 'field is immutable for unsuspended job once set'))
  if (is(old, 'SuccessCriteriaMet') && !is(job, 'SuccessCriteriaMet')) out.push(withoutValue(CONDITIONS, 'cannot disable the SuccessCriteriaMet=True condition'))
  if (is(old, 'Complete') && !is(old, 'SuccessCriteriaMet') && is(job, 'SuccessCriteriaMet')) out.push(withoutValue(CONDITIONS, 'cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions'))
  return out
}
