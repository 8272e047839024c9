/** `pods/eviction` (kubectl drain): a deletion that PodDisruptionBudgets may refuse with 429. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { Condition, Eviction, KubeObject, Pod, PodDisruptionBudget } from '#api/types/index.ts'
import { compileLabelSelector } from '#api/types/labels.ts'
import { jsonResponse } from '../http/response.ts'
import { invalid as invalidField } from '../field-error.ts'
import { badRequest, forbidden, invalid, StatusError } from '../http/status.ts'
import { timestamp } from '../storage/object-meta.ts'
import { parseEntry } from '../watch/encoder.ts'
import { admitFully } from '../verbs/admit.ts'
import { readBody } from '../verbs/body.ts'
import { cacheOf, namesOf, type Call } from '../verbs/call.ts'
import { changedObject, changeObject } from '../verbs/change.ts'
import { assertPreconditions, deleteObject, deletionOptions } from '../verbs/delete-object.ts'
import type { DeletionOptions } from '../verbs/deletion.ts'
import { admissionOptions, parseWriteOptions, type WriteOptions } from '../verbs/options.ts'
import { readHeld, type Full } from '../verbs/stored.ts'

const EVICTION = { group: 'policy', version: 'v1', kind: 'Eviction' }
/** kubectl before 1.22 drains with it; upstream takes both to this day. */
const OLD_EVICTION = 'policy/v1beta1'
const ATTEMPTS = 20
const VIOLATES = "Cannot evict pod as it would violate the pod's disruption budget."
const REASON = 'EvictionByEvictionAPI'
/** Upstream's limit: more pods on their way out than this are a controller that does not keep up. */
const DISRUPTED_PODS_MAX = 2_000

type Budget = PodDisruptionBudget & Full

export async function eviction(call: Call): Promise<ApiResponse> {
  const options = parseWriteOptions(call, 'CreateOptions')
  const body = readBody<Eviction & KubeObject>(call, { model: 'Eviction', expect: EVICTION, alsoAs: [OLD_EVICTION], validation: options.fieldValidation })
  if (body.metadata?.namespace && body.metadata.namespace !== call.info.namespace) throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  if ((body.metadata?.name ?? '') !== call.info.name) throw badRequest('name in URL does not match name in Eviction object')
  const deletion = deletionOf(call, body)
  await admitFully(call, { operation: 'CREATE', name: call.info.name, object: body, old: undefined, options: admissionOptions(call, 'CreateOptions'), dryRun: options.dryRun, as: { ...EVICTION, model: 'Eviction' } })
  const pod = (await readHeld(call)).object as Full & Pod
  let guardedBy: Budget | undefined
  if (!isExempt(pod)) {
    const budget = await budgetOf(call, pod)
    if (budget && isExemptByPolicy(pod, budget)) guardedBy = budget
    else if (budget) await take(call, budget, pod, { ...options, dryRun: deletion.dryRun })
  }
  await markAndDelete(call, pod, options, deletion, guardedBy)
  return jsonResponse({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }, 201)
}

/** `guardedBy`: it may go only as it was seen, not ready. */
async function markAndDelete(call: Call, pod: Full & Pod, options: WriteOptions, deletion: DeletionOptions, guardedBy: Budget | undefined): Promise<void> {
  const isGuard = guardedBy !== undefined && deletion.preconditions.resourceVersion === undefined
  let preconditions = { uid: pod.metadata.uid ?? '', ...deletion.preconditions, ...(isGuard && { resourceVersion: pod.metadata.resourceVersion ?? '' }) }
  try {
    if (!deletion.dryRun) {
      const marked = await mark(call, { ...options, dryRun: false }, { ...deletion, preconditions })
      if (preconditions.resourceVersion !== undefined) preconditions = { ...preconditions, resourceVersion: marked.metadata.resourceVersion ?? '' }
    }
    await deleteObject({ ...call, info: { ...call.info, subresource: '' }, verb: 'delete' }, { ...deletion, preconditions }, { admit: false })
  } catch (error) {
    if (isGuard && error instanceof StatusError && error.body.reason === 'Conflict') throw stillProcessed(guardedBy.metadata.name ?? '')
    throw error
  }
}

/** KEP-3329: the pod says why it goes, for the Job it belongs to. Answers the pod as it is then. */
async function mark(call: Call, options: WriteOptions, deletion: DeletionOptions): Promise<Full> {
  const done = await changeObject({ ...call, info: { ...call.info, subresource: 'status' } }, {
    next(_held, copy) {
      const old = copy()
      // What is there now may be another pod of that name, or not the one the caller means.
      assertPreconditions(call, old, deletion)
      old.metadata.resourceVersion = ''
      const { status } = old as Full & Pod
      const before = (status?.conditions ?? []).find((c) => c.type === 'DisruptionTarget')
      if (before?.status === 'True' && before.reason === REASON) return old
      const condition = { type: 'DisruptionTarget', status: 'True', reason: REASON, message: 'Eviction API: evicting', lastTransitionTime: before?.status === 'True' ? (before.lastTransitionTime ?? '') : timestamp(call.parts.clock.nowMs()) }
      ;(old as Pod).status = { ...status, conditions: before ? (status?.conditions ?? []).map((c) => (c === before ? condition : c)) : [...(status?.conditions ?? []), condition] }
      return old
    },
    part: 'raw', fields: 'apply', options, attempts: ATTEMPTS,
  })
  return changedObject(call, done)
}

/** What the body says of the deletion; a dry run may be asked for there, or in the query, or alike in both. */
function deletionOf(call: Call, { deleteOptions = {} }: Eviction): DeletionOptions {
  const asked = call.query.all('dryRun').filter((v) => v !== '')
  if (deleteOptions.ignoreStoreReadErrorWithClusterBreakingPotential === true) throw invalid(EVICTION, call.info.name, [invalidField('deleteOptions.ignoreStoreReadErrorWithClusterBreakingPotential', true, 'can not be set for pod eviction, try after removing the option')])
  const own = deleteOptions.dryRun ?? []
  if (own.length > 0 && asked.length > 0 && own.join() !== asked.join()) throw new StatusError({ code: 500, reason: '', message: `Non-matching dry-run options in request and content: [${asked.join(' ')}] and [${own.join(' ')}]` })
  return deletionOptions(deleteOptions, own.length > 0 ? own : asked)
}

/** Finished, not yet started, or already going: no budget is touched. */
function isExempt(pod: Full & Pod): boolean {
  return ['Succeeded', 'Failed', 'Pending'].includes(pod.status?.phase ?? '') || pod.metadata.deletionTimestamp !== undefined
}

async function budgetOf(call: Call, pod: Full): Promise<Budget | undefined> {
  const row = call.parts.rows.find('policy', 'v1', 'poddisruptionbudgets')
  if (!row) return undefined
  const cache = await cacheOf(call.parts, row)
  const found = cache.list(pod.metadata.namespace ?? '').map((e) => parseEntry(e, namesOf(row)) as Budget).filter((b) => compileLabelSelector(b.spec?.selector).matches(pod.metadata.labels))
  if (found.length > 1) throw new StatusError({ code: 500, reason: '', message: 'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.' })
  return found[0]
}

/** KEP-3017: pods that are not ready anyway, as far as the budget's policy lets them go. */
function isExemptByPolicy(pod: Full & Pod, { spec, status }: Budget): boolean {
  const ready = (pod.status?.conditions ?? []).some((c) => c.type === 'Ready' && c.status === 'True')
  if (ready) return false
  if (spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true
  return (status?.currentHealthy ?? 0) >= (status?.desiredHealthy ?? 0) && (status?.desiredHealthy ?? 0) > 0
}

/** Takes one disruption from the budget, or refuses. It is upstream's API server itself that writes there. */
async function take(call: Call, budget: Budget, pod: Full, options: WriteOptions): Promise<void> {
  const row = call.parts.rows.find('policy', 'v1', 'poddisruptionbudgets')
  if (!row) return
  const onBudget: Call = { ...call, row, info: { ...call.info, group: 'policy', resource: row.ref.resource, subresource: 'status', name: budget.metadata.name ?? '' } }
  await changeObject(onBudget, {
    next(_held, copy) {
      const old = copy()
      const now = timestamp(call.parts.clock.nowMs())
      const status = allowingStatus(old as Budget)
      status.disruptionsAllowed = (status.disruptionsAllowed ?? 0) - 1
      status.disruptedPods = { ...status.disruptedPods, [pod.metadata.name ?? '']: now }
      if (status.disruptionsAllowed === 0) status.conditions = withoutDisruptions(status.conditions ?? [], status.observedGeneration ?? 0, now)
      old.metadata.resourceVersion = ''
      return old
    },
    part: 'raw', fields: 'update', options: { ...options, fieldManager: 'kube-apiserver' }, attempts: ATTEMPTS,
  })
}

type Status = NonNullable<PodDisruptionBudget['status']>

/** Its status, if it lets one go. */
function allowingStatus({ status, metadata }: Budget): Status {
  const name = metadata.name ?? ''
  const says = `The disruption budget ${name}`
  if (!status || (status.observedGeneration ?? 0) < (metadata.generation ?? 0)) throw stillProcessed(name)
  if (Object.keys(status.disruptedPods ?? {}).length > DISRUPTED_PODS_MAX) throw forbidden({ group: 'policy', resource: 'poddisruptionbudget' }, name, 'DisruptedPods map too big - too many evictions not confirmed by PDB controller')
  if ((status.disruptionsAllowed ?? 0) > 0) return status
  const { desiredHealthy = 0, currentHealthy = 0 } = status
  const why = (status.conditions ?? []).find((c) => c.type === 'DisruptionAllowed' && c.status === 'False' && c.message)
  if (why?.reason === 'SyncFailed') throw violates(`${says} does not allow evicting pods currently because it failed sync: ${why.message}`)
  if (currentHealthy <= desiredHealthy) throw violates(`${says} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`)
  throw violates(why ? `${says} does not allow evicting pods currently (${why.reason}): ${why.message}` : `${says} does not allow evicting pods currently`)
}

function withoutDisruptions(conditions: readonly Condition[], observedGeneration: number, now: string): Condition[] {
  const before = conditions.find((c) => c.type === 'DisruptionAllowed')
  const after: Condition = { type: 'DisruptionAllowed', status: 'False', observedGeneration, lastTransitionTime: before?.status === 'False' ? before.lastTransitionTime : now, reason: 'InsufficientPods', message: '' }
  return before ? conditions.map((c) => (c === before ? after : c)) : [...conditions, after]
}

const stillProcessed = (name: string): StatusError => violates(`The disruption budget ${name} is still being processed by the server.`, 10)

function violates(message: string, retryAfterSeconds?: number): StatusError {
  return new StatusError({
    code: 429, reason: 'TooManyRequests', message: VIOLATES,
    details: { causes: [{ reason: 'DisruptionBudget', message }], ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) },
  })
}
