/** Jobs and CronJobs. */
import type { Affinity, Container, CronJob, Job, JobSpec, LabelSelector, PodSpec } from '#api/types/index.ts'
import { compileLabelSelector, describeLabelSelector } from '#api/types/index.ts'
import { type FieldError, invalid, notSupported, required } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { workloadColumns } from './apps.ts'
import { keepStatus } from './carry.ts'
import { checkLabelSelector, FIELD_IMMUTABLE, immutable, nonNegative, oneOf, setDefault } from './check.ts'
import { cronProblem, isTimeZone } from './cron-text.ts'
import { validateJobStatus } from './job-status-validation.ts'
import { validateIndexedName, validateJobEnds } from './job-validation.ts'
import { hostnameWarnings, templateWarnings, workloadWarnings } from './pod-warnings.ts'
import { defaultPodTemplate } from './pod-defaults.ts'
import { validatePodTemplate } from './pod-template.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, boolText, column, count, humanDuration, nameColumn, since } from './table-columns.ts'

const INT32_MAX = 2 ** 31 - 1
/** Old and new names of the labels that tie pods to their Job. */
const JOB_NAME_LABELS = ['job-name', 'batch.kubernetes.io/job-name']
const JOB_UID_LABELS = ['controller-uid', 'batch.kubernetes.io/controller-uid']
const PREFIXED_LABELS = ['batch.kubernetes.io/controller-uid', 'batch.kubernetes.io/job-name']
/** A CronJob's name plus `-` and ten digits must be a Job's name. */
const CRON_NAME_LENGTH_MAX = 52

export const jobStrategy: KindStrategy<Job> = {
  orphansByDefault: { warning: 'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning' },
  defaults(job) {
    const spec = (job.spec ??= { template: {} })
    defaultJobSpec(spec)
    const labels = spec.template.metadata?.labels
    // One and the same, as in upstream: what is added to the template's at creation is the Job's, too.
    if (labels && Object.keys(job.metadata?.labels ?? {}).length === 0) (job.metadata ??= {}).labels = labels
  },
  prepareCreate(job) {
    job.status = {}
    const spec = job.spec
    if (!spec || spec.manualSelector === true) return
    const meta = ((spec.template ??= {}).metadata ??= {})
    const [given, sent] = [job.metadata?.labels, meta.labels]
    const labels = { ...sent }
    // What is there already is for the validation to judge.
    for (const key of JOB_NAME_LABELS) labels[key] ??= job.metadata?.name ?? ''
    for (const key of JOB_UID_LABELS) labels[key] ??= job.metadata?.uid ?? ''
    meta.labels = labels
    spec.selector = { ...spec.selector, matchLabels: { 'batch.kubernetes.io/controller-uid': job.metadata?.uid ?? '', ...spec.selector?.matchLabels } }
    if (Object.keys(given ?? {}).length === 0 || given === sent) (job.metadata ??= {}).labels = { ...labels }
  },
  prepareUpdate: keepStatus,
  generation: (job, old) => !semanticEqual(job.spec, old.spec),
  validate: (job) => validateJob(job),
  validateUpdate(job, old) {
    const [spec, before] = [job.spec, old.spec]
    // Whatever ran of it is gone (KEP-2926, KEP-5440).
    const isIdle = before?.suspend === true && (old.status?.active ?? 0) === 0 && (old.status?.startTime === undefined || has(old, 'Suspended'))
    const placed = isIdle ? schedulingAside(spec?.template.spec, before.template.spec) : undefined
    return [
      ...validateJob(job, old),
      ...completionsChange(spec, before),
      ...immutable('spec.selector', spec?.selector, before?.selector),
      ...(!isIdle ? immutable('spec.template', spec?.template, before?.template) : semanticEqual(placed, before.template.spec) ? [] : [invalid('spec.template.spec', spec?.template.spec, FIELD_IMMUTABLE)]),
      ...immutable('spec.completionMode', spec?.completionMode, before?.completionMode),
      ...immutable('spec.podFailurePolicy', spec?.podFailurePolicy, before?.podFailurePolicy),
      ...immutable('spec.backoffLimitPerIndex', spec?.backoffLimitPerIndex, before?.backoffLimitPerIndex),
      ...immutable('spec.managedBy', spec?.managedBy, before?.managedBy),
      ...immutable('spec.successPolicy', spec?.successPolicy, before?.successPolicy),
    ]
  },
  validateStatusUpdate: validateJobStatus,
  selectableFields: { 'status.successful': (o) => String(o.status?.succeeded ?? 0) },
  warnings: workloadWarnings<Job>('spec.template', (o) => o.spec?.template, true),
  columns: [
    nameColumn(),
    column('Status', 'Status of the job.', statusText),
    column('Completions', 'The number of pods which reached phase Succeeded.', completionsText),
    column('Duration', 'Time required to complete the job.', durationText),
    ageColumn(),
    ...workloadColumns<Job>((o) => o.spec?.template, (o) => describeLabelSelector(o.spec?.selector)),
  ],
}

/** Malformed selectors are told of elsewhere. */
function selects(selector: LabelSelector, labels: Readonly<Record<string, string>> | undefined): boolean {
  return checkLabelSelector('', selector).length > 0 || compileLabelSelector(selector).matches(labels ?? {})
}

/** An indexed Job may be given more or fewer indexes, all of them running at once. */
function completionsChange(spec: JobSpec | undefined, old: JobSpec | undefined): FieldError[] {
  if (spec?.completionMode !== 'Indexed') return immutable('spec.completions', spec?.completions, old?.completions)
  if (spec.completions === old?.completions || spec.completions === undefined || spec.completions === spec.parallelism) return []
  return [invalid('spec.completions', spec.completions, 'can only be modified in tandem with spec.parallelism')]
}

function defaultJobSpec(spec: JobSpec): void {
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1
  spec.parallelism ??= 1
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : INT32_MAX
  spec.completionMode ??= 'NonIndexed'
  spec.suspend ??= false
  spec.manualSelector ??= false
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed'
  defaultFailurePolicy(spec)
  defaultPodTemplate((spec.template ??= {}))
}

function defaultFailurePolicy(spec: JobSpec): void {
  for (const rule of spec.podFailurePolicy?.rules ?? []) for (const pattern of rule.onPodConditions ?? []) pattern.status ||= 'True'
}

/** A Job of which nothing runs may be told anew where to run, and with what; of the template's metadata nothing is asked. */
function schedulingAside(spec: PodSpec | undefined, old: PodSpec | undefined): PodSpec | undefined {
  if (!spec || !old) return spec
  const { nodeSelector: _n, affinity: _a, tolerations: _t, schedulingGates: _s, ...rest } = spec
  const { nodeSelector, affinity, tolerations, schedulingGates } = old
  const placed = affinityAside(spec.affinity, affinity)
  const kept = { ...(nodeSelector && { nodeSelector }), ...(placed && { affinity: placed }), ...(tolerations && { tolerations }), ...(schedulingGates && { schedulingGates }) }
  const containers = resourcesAside(rest.containers, old.containers)
  const initContainers = rest.initContainers && resourcesAside(rest.initContainers, old.initContainers ?? [])
  return { ...rest, ...kept, containers, ...(initContainers && { initContainers }) }
}

/** Of affinity, that to nodes may change; nothing at all is the same as nothing but that. */
function affinityAside(affinity: Affinity | undefined, old: Affinity | undefined): Affinity | undefined {
  const { nodeAffinity: _n, ...others } = affinity ?? {}
  const merged = { ...others, ...(old?.nodeAffinity && { nodeAffinity: old.nodeAffinity }) }
  return Object.keys(merged).length === 0 && !old ? undefined : merged
}

/** With the requests and limits that were there before. */
function resourcesAside(containers: readonly Container[], old: readonly Container[]): Container[] {
  return containers.map((container, i) => {
    const before = old[i]
    if (before?.name !== container.name) return container
    const { requests: _r, limits: _l, ...others } = container.resources ?? {}
    const { requests, limits } = before.resources ?? {}
    const resources = { ...others, ...(requests && { requests }), ...(limits && { limits }) }
    return { ...container, ...((container.resources ?? before.resources) && { resources }) }
  })
}

/** Jobs from before the labels with a prefix need not have them. */
function validateJob(job: Job, old?: Job): FieldError[] {
  const { selector, template, manualSelector } = job.spec ?? {}
  const before = old?.spec?.template.metadata?.labels
  const hasPrefixed = old === undefined || PREFIXED_LABELS.every((key) => before?.[key] !== undefined)
  const labels = template?.metadata?.labels ?? {}
  const out: FieldError[] = []
  if (manualSelector !== true && selector) {
    const { uid = '', name = '' } = job.metadata ?? {}
    const expected: Record<string, string> = { 'controller-uid': uid, 'job-name': name, ...(hasPrefixed && { 'batch.kubernetes.io/controller-uid': uid, 'batch.kubernetes.io/job-name': name }) }
    for (const [key, value] of Object.entries(expected)) {
      if (labels[key] === undefined) out.push(required(`spec.template.metadata.labels[${key}]`, `must be '${value}'`))
      else if (labels[key] !== value) out.push(invalid(`spec.template.metadata.labels[${key}]`, labels, `must be '${value}'`))
    }
    if (isReadable(selector) && !selects(selector, expected)) out.push(invalid('spec.selector', selector, '`selector` not auto-generated'))
  }
  return [...out, ...validateJobSpec('spec', job.spec), ...validateIndexedName(job)]
}

/** Whether it can be said what it selects. */
const isReadable = (selector: LabelSelector): boolean => checkLabelSelector('', selector).length === 0

function validateJobSpec(at: string, spec: JobSpec | undefined, inCronJob = false): FieldError[] {
  if (!spec) return [required(at)]
  const out: FieldError[] = []
  for (const key of ['parallelism', 'completions', 'activeDeadlineSeconds', 'backoffLimit', 'backoffLimitPerIndex', 'maxFailedIndexes', 'ttlSecondsAfterFinished'] as const) out.push(...nonNegative(`${at}.${key}`, spec[key]))
  out.push(...validateJobEnds(at, spec))
  if (!inCronJob && spec.selector) out.push(...checkLabelSelector(`${at}.selector`, spec.selector))
  if (!inCronJob && !spec.selector) out.push(required(`${at}.selector`))
  const labels = spec.template?.metadata?.labels
  if (!inCronJob && (!spec.selector || (isReadable(spec.selector) && !selects(spec.selector, labels)))) out.push(invalid(`${at}.template.metadata.labels`, labels ?? null, '`selector` does not match template `labels`'))
  if (inCronJob && spec.manualSelector) out.push(notSupported(`${at}.manualSelector`, true, ['nil', 'false']))
  out.push(...validatePodTemplate(`${at}.template`, spec.template))
  const policy = spec.template?.spec?.restartPolicy
  const field = `${at}.template.spec.restartPolicy`
  // `Always` is also what no policy at all is defaulted to.
  if (!policy || policy === 'Always') out.push(required(field, 'valid values: "OnFailure", "Never"'))
  else if (policy !== 'OnFailure' && policy !== 'Never') out.push(notSupported(field, policy, ['OnFailure', 'Never']))
  else if (spec.podFailurePolicy && policy !== 'Never') out.push(invalid(field, policy, 'only "Never" is supported when podFailurePolicy is specified'))
  return out
}

const has = (job: Job, type: string): boolean => job.status?.conditions?.some((c) => c.type === type && c.status === 'True') ?? false

function statusText(job: Job): string {
  if (has(job, 'Complete')) return 'Complete'
  if (has(job, 'Failed')) return 'Failed'
  if (job.metadata?.deletionTimestamp) return 'Terminating'
  if (has(job, 'Suspended')) return 'Suspended'
  if (has(job, 'FailureTarget')) return 'FailureTarget'
  return has(job, 'SuccessCriteriaMet') ? 'SuccessCriteriaMet' : 'Running'
}

function completionsText(job: Job): string {
  const done = job.status?.succeeded ?? 0
  if (job.spec?.completions !== undefined) return `${done}/${job.spec.completions}`
  const parallelism = job.spec?.parallelism ?? 0
  return parallelism > 1 ? `${done}/1 of ${parallelism}` : `${done}/1`
}

function durationText(job: Job, nowMs: number): string {
  const { startTime, completionTime } = job.status ?? {}
  if (startTime === undefined) return ''
  return humanDuration((completionTime === undefined ? nowMs : Date.parse(completionTime)) - Date.parse(startTime))
}

export const cronJobStrategy: KindStrategy<CronJob> = {
  finalizers: 'plain in status',
  defaults(cron) {
    const spec = (cron.spec ??= { schedule: '', jobTemplate: {} })
    setDefault(spec, 'concurrencyPolicy', 'Allow')
    spec.suspend ??= false
    spec.successfulJobsHistoryLimit ??= 3
    spec.failedJobsHistoryLimit ??= 1
    const template = ((spec.jobTemplate ??= {}).spec ??= { template: {} })
    defaultPodTemplate((template.template ??= {}))
    defaultFailurePolicy(template)
  },
  prepareCreate: (cron) => { cron.status = {} },
  prepareUpdate: keepStatus,
  generation: (cron, old) => !semanticEqual(cron.spec, old.spec),
  validate: validateCronJob,
  validateUpdate: (cron, old, ctx) => validateCronJob(cron, ctx, old),
  warnings: (cron, old) => [
    ...(old ? [] : hostnameWarnings(cron.metadata?.name, true)),
    ...(old && semanticEqual(cron.spec?.jobTemplate, old.spec?.jobTemplate) ? [] : templateWarnings('spec.jobTemplate.spec.template', cron.spec?.jobTemplate?.spec?.template)),
    // Upstream's path has the word twice.
    ...(old && cron.spec?.schedule?.includes('TZ') ? ['cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details'] : []),
  ],
  columns: [
    nameColumn(),
    column('Schedule', 'The schedule in Cron format, see https://en.wikipedia.org/wiki/Cron.', (o) => o.spec?.schedule ?? ''),
    column('Timezone', 'The time zone name for the given schedule.', (o) => o.spec?.timeZone ?? '<none>'),
    column('Suspend', 'This flag tells the controller to suspend subsequent executions.', (o) => boolText(o.spec?.suspend), { type: 'boolean' }),
    count('Active', 'A list of pointers to currently running jobs.', (o) => (o.status?.active ?? []).length),
    column('Last Schedule', 'Information when was the last time the job was successfully scheduled.', (o, nowMs) => (o.status?.lastScheduleTime === undefined ? '<none>' : since(o.status.lastScheduleTime, nowMs))),
    ageColumn(),
    ...workloadColumns<CronJob>((o) => o.spec?.jobTemplate.spec?.template, (o) => describeLabelSelector(o.spec?.jobTemplate.spec?.selector)),
  ],
}

function validateCronJob(cron: CronJob, _ctx: unknown, old?: CronJob): FieldError[] {
  const spec = cron.spec
  if (!spec) return [required('spec')]
  const out: FieldError[] = []
  const name = cron.metadata?.name ?? ''
  if (!spec.schedule) out.push(required('spec.schedule'))
  else out.push(...validateSchedule(spec.schedule, spec.timeZone, old?.spec?.schedule?.includes('TZ') ?? false))
  if (spec.timeZone !== undefined && spec.timeZone !== old?.spec?.timeZone) {
    if (spec.timeZone === '') out.push(invalid('spec.timeZone', spec.timeZone, 'timeZone must be nil or non-empty string'))
    else if (spec.timeZone.toLowerCase() === 'local') out.push(invalid('spec.timeZone', spec.timeZone, 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones'))
    else if (!isTimeZone(spec.timeZone)) out.push(invalid('spec.timeZone', spec.timeZone, `unknown time zone ${spec.timeZone}`))
  }
  for (const key of ['startingDeadlineSeconds', 'successfulJobsHistoryLimit', 'failedJobsHistoryLimit'] as const) out.push(...nonNegative(`spec.${key}`, spec[key]))
  out.push(...oneOf('spec.concurrencyPolicy', spec.concurrencyPolicy, ['Allow', 'Forbid', 'Replace'], 'required'))
  if (spec.jobTemplate.spec?.selector) out.push(invalid('spec.jobTemplate.spec.selector', spec.jobTemplate.spec.selector, '`selector` will be auto-generated'))
  out.push(...validateJobSpec('spec.jobTemplate.spec', spec.jobTemplate.spec, true))
  return !old && name.length > CRON_NAME_LENGTH_MAX ? [...out, invalid('metadata.name', name, `must be no more than ${CRON_NAME_LENGTH_MAX} characters`)] : out
}

/** A zone in the schedule may stay where there was one, without a second one beside it. */
function validateSchedule(schedule: string, timeZone: string | undefined, hadZone: boolean): FieldError[] {
  const at = 'spec.schedule'
  const problem = cronProblem(schedule.replace(/^(CRON_)?TZ=\S+\s+/, ''))
  const out = problem === undefined ? [] : [invalid(at, schedule, problem)]
  if (!schedule.includes('TZ')) return out
  if (!hadZone) return [...out, invalid(at, schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead')]
  return timeZone === undefined ? out : [...out, invalid(at, schedule, 'cannot use both timeZone field and TZ or CRON_TZ in schedule')]
}
