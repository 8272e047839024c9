/** `pods/eviction` (kubectl drain): a deletion that PodDisruptionBudgets may refuse with 429. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { Eviction, KubeObject, Pod, PodDisruptionBudget } from '#api/types/index.ts'
import { compileLabelSelector } from '#api/types/labels.ts'
import { jsonResponse } from '../http/response.ts'
import { badRequest, internal, StatusError } from '../http/status.ts'
import { timestamp } from '../storage/object-meta.ts'
import { parseEntry } from '../watch/encoder.ts'
import { admitFully } from '../verbs/admit.ts'
import { readBody } from '../verbs/body.ts'
import { cacheOf, namesOf, type Call } from '../verbs/call.ts'
import { changeObject } from '../verbs/change.ts'
import { deleteObject, graceOf } from '../verbs/delete-object.ts'
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
  if ((body.metadata?.name ?? '') !== call.info.name) throw badRequest('name in URL does not match name in Eviction object')
  await admitFully(call, { operation: 'CREATE', name: call.info.name, object: body, old: undefined, options: admissionOptions(call, 'CreateOptions'), dryRun: options.dryRun, as: { ...EVICTION, model: 'Eviction' } })
  const deletion = deletionOf(body, options)
  const pod = (await readHeld(call)).object as Full & Pod
  if (!isExempt(pod)) {
    const budget = await budgetOf(call, pod)
    if (budget && !isExemptByPolicy(pod, budget)) await take(call, budget, pod, { ...options, dryRun: deletion.dryRun })
  }
  const marked = deletion.dryRun ? pod : await mark(call, pod, { ...options, dryRun: false }, deletion.preconditions)
  const preconditions = { uid: pod.metadata.uid ?? '', ...deletion.preconditions, ...(deletion.preconditions.resourceVersion !== undefined && { resourceVersion: marked.metadata.resourceVersion ?? '' }) }
  await deleteObject({ ...call, info: { ...call.info, subresource: '' }, verb: 'delete' }, { ...deletion, preconditions }, { admit: false })
  return jsonResponse({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }, 201)
}

/** KEP-3329: the pod says why it goes, for the Job it belongs to. Answers the pod as it is then. */
async function mark(call: Call, pod: Full, options: WriteOptions, { uid, resourceVersion }: DeletionOptions['preconditions']): Promise<Full> {
  const done = await changeObject({ ...call, info: { ...call.info, subresource: 'status' } }, {
    next(old) {
      // What is there now may be another pod of that name, or not the one the caller means.
      old.metadata.uid = uid ?? pod.metadata.uid ?? ''
      old.metadata.resourceVersion = resourceVersion ?? ''
      const { metadata, status } = old as Full & Pod
      const before = (status?.conditions ?? []).find((c) => c.type === 'DisruptionTarget')
      if (before?.status === 'True' && before.reason === REASON) return old
      const condition = { type: 'DisruptionTarget', status: 'True', reason: REASON, message: 'Eviction API: evicting', lastTransitionTime: before?.status === 'True' ? (before.lastTransitionTime ?? '') : timestamp(call.parts.clock.nowMs()), ...(metadata.generation !== undefined && { observedGeneration: metadata.generation }) }
      ;(old as Pod).status = { ...status, conditions: [...(status?.conditions ?? []).filter((c) => c !== before), condition] }
      return old
    },
    part: 'raw', fields: 'apply', options, attempts: ATTEMPTS,
  })
  return { ...done.object, metadata: { ...done.object.metadata, resourceVersion: String(done.revision) } }
}

function deletionOf(body: Eviction, options: WriteOptions): DeletionOptions {
  const { gracePeriodSeconds, preconditions, propagationPolicy, dryRun } = body.deleteOptions ?? {}
  return {
    dryRun: options.dryRun || (dryRun ?? []).includes('All'),
    graceSeconds: graceOf(gracePeriodSeconds),
    policy: propagationPolicy as DeletionOptions['policy'],
    preconditions: { ...(preconditions?.uid !== undefined && { uid: preconditions.uid }), ...(preconditions?.resourceVersion !== undefined && { resourceVersion: preconditions.resourceVersion }) },
  }
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
  if (found.length > 1) throw internal('This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.')
  return found[0]
}

/** KEP-3017: pods that are not ready anyway, as far as the budget's policy lets them go. */
function isExemptByPolicy(pod: Full & Pod, { spec, status }: Budget): boolean {
  const ready = (pod.status?.conditions ?? []).some((c) => c.type === 'Ready' && c.status === 'True')
  if (ready) return false
  if (spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true
  return (status?.currentHealthy ?? 0) >= (status?.desiredHealthy ?? 0) && (status?.desiredHealthy ?? 0) > 0
}

/** Takes one disruption from the budget, or refuses. */
async function take(call: Call, budget: Budget, pod: Full, options: WriteOptions): Promise<void> {
  const row = call.parts.rows.find('policy', 'v1', 'poddisruptionbudgets')
  if (!row) return
  const onBudget: Call = { ...call, row, info: { ...call.info, group: 'policy', resource: row.ref.resource, subresource: 'status', name: budget.metadata.name ?? '' } }
  await changeObject(onBudget, {
    next(old) {
      const { status: now, metadata } = old as Budget
      const name = metadata.name ?? ''
      if (!now || (now.observedGeneration ?? 0) < (metadata.generation ?? 0)) throw violates(`The disruption budget ${name} is still being processed by the server.`, 10)
      if (Object.keys(now.disruptedPods ?? {}).length > DISRUPTED_PODS_MAX) throw violates(`The disruption budget ${name} has too many evictions in progress.`)
      const allowed = now.disruptionsAllowed ?? 0
      if (allowed <= 0) throw violates(`The disruption budget ${name} needs ${now.desiredHealthy} healthy pods and has ${now.currentHealthy} currently`)
      now.disruptionsAllowed = allowed - 1
      now.disruptedPods = { ...now.disruptedPods, [pod.metadata.name ?? '']: timestamp(call.parts.clock.nowMs()) }
      old.metadata.resourceVersion = ''
      return old
    },
    part: 'raw', fields: 'update', options, attempts: ATTEMPTS,
  })
}

function violates(message: string, retryAfterSeconds?: number): StatusError {
  return new StatusError({
    code: 429, reason: 'TooManyRequests', message: VIOLATES,
    details: { causes: [{ reason: 'DisruptionBudget', message }], ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) },
  })
}
