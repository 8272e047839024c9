/**
 * ResourceQuota: charges a namespace's quotas before the object is written, by compare-and-swap on their status, so that no
 * number of writers together gets more than there is. What is charged for a write that then fails comes back with the
 * controller's next count.
 *
 * Requests of one namespace that wait together are charged together: one status write for all of them.
 */
import { evaluatorOf, podOf, type ClaimSurroundings, type Evaluator } from '#api/quota/index.ts'
import { DEVICE_CLASSES, PODS, RESOURCE_CLAIMS, RESOURCE_QUOTAS, type DeviceClass, type Pod, type ResourceQuota, type ResourceV1ResourceClaim, type Stored } from '#api/types/index.ts'
import { ApiError, isReason } from '#api/client/client.ts'
import { equalResources } from '#api/quota/resource-list.ts'
import { asError } from '#base/errors.ts'
import type { Clock } from '#base/clock.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../../admission.ts'
import { StatusError, type StatusDetails } from '../../http/status.ts'
import { checkRequest } from './check-request.ts'
import type { LimitedResource } from './configuration.ts'

/** Rounds against other writers of a quota's status; upstream's number. */
const ATTEMPTS = 4
/** Not counted: they would cost a look each, and nobody limits them. */
const IGNORED: ReadonlySet<string> = new Set(['/events', 'events.k8s.io/events'])

type Quota = Stored<ResourceQuota>

interface Waiter {
  request: AdmissionRequest
  evaluator: Evaluator
  done(refusal: Refusal | undefined): void
  fail(error: Error): void
}

export function resourceQuota({ clock, limited = [] }: { clock: Clock; limited?: readonly LimitedResource[] }): AdmissionPlugin {
  const waiting = new Map<string, Waiter[]>()

  /** Works until nobody waits any more; there is one such loop per namespace. */
  async function serve(namespace: string, api: AdmissionApi): Promise<void> {
    for (let batch = waiting.get(namespace) ?? []; batch.length > 0; batch = waiting.get(namespace) ?? []) {
      waiting.set(namespace, [])
      try {
        await chargeAll(await quotasOf(namespace, api), batch, api, ATTEMPTS)
      } catch (error) {
        for (const waiter of batch) waiter.fail(asError(error))
      }
    }
    waiting.delete(namespace)
  }

  async function chargeAll(quotas: readonly Quota[], batch: readonly Waiter[], api: AdmissionApi, attempts: number): Promise<void> {
    let running = quotas
    const charged: Waiter[] = []
    for (const waiter of batch) {
      const checked = tryCheck({ quotas: running, request: waiter.request, evaluator: waiter.evaluator, limited, nowMs: clock.nowMs() }, waiter)
      if (!checked) continue
      if (waiter.request.dryRun || checked.every((quota, i) => quota === running[i])) {
        waiter.done(undefined)
      } else {
        running = checked
        charged.push(waiter)
      }
    }
    const failed = new Map<string, unknown>()
    for (const [i, quota] of running.entries()) {
      if (quota === quotas[i] || equalResources(quota.status?.used ?? {}, quotas[i]?.status?.used ?? {})) continue
      try {
        await api.client.update<ResourceQuota>(RESOURCE_QUOTAS, quota, { subresource: 'status' })
      } catch (error) {
        failed.set(quota.metadata.name, error)
      }
    }
    if (failed.size === 0) return charged.forEach((waiter) => waiter.done(undefined))
    if (attempts <= 1) {
      const [error] = failed.values()
      return charged.forEach((waiter) => waiter.fail(asStatus(error)))
    }
    // Those that were charged stay so; only the others are looked at again, as they are now. One that is gone limits nobody.
    const namespace = charged[0]?.request.namespace ?? ''
    await chargeAll((await quotasOf(namespace, api)).filter((quota) => failed.has(quota.metadata.name)), charged, api, attempts - 1)
  }

  async function charge(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
    const { namespace, ref } = request
    if (limited.length === 0 && (await quotasOf(namespace, api)).length === 0) return undefined
    const isClaim = ref.group === RESOURCE_CLAIMS.group && ref.resource === RESOURCE_CLAIMS.resource
    const evaluator = evaluatorOf(ref.group, ref.resource, isClaim ? await surroundings(request, api) : undefined)
    return new Promise((done, fail) => {
      const waiter = { request, evaluator, done, fail }
      const queue = waiting.get(namespace)
      if (queue) {
        queue.push(waiter)
        return
      }
      waiting.set(namespace, [waiter])
      // Never rejects: failures are the waiters'.
      void serve(namespace, api)
    })
  }

  return {
    name: 'ResourceQuota',
    validate(request, api) {
      const { namespace, ref } = request
      if (namespace === '' || IGNORED.has(`${ref.group}/${ref.resource}`)) return undefined
      if ((request.operation !== 'CREATE' && request.operation !== 'UPDATE') || (ref.group === '' && ref.resource === 'namespaces')) return undefined
      return evaluatorOf(ref.group, ref.resource).handles(request) ? charge(request, api) : undefined
    },
  }
}

async function quotasOf(namespace: string, api: AdmissionApi): Promise<Quota[]> {
  return (await api.client.list<ResourceQuota>(RESOURCE_QUOTAS, { namespace })).items
}

/** What the claim of a request is measured by: as much of it as is asked for. */
async function surroundings({ namespace, object, old }: AdmissionRequest, { client }: AdmissionApi): Promise<ClaimSurroundings> {
  const owner = [object, old].flatMap((claim) => (claim ? podOf(claim as ResourceV1ResourceClaim) : undefined) ?? []).at(0)
  const [classes, pod, claims] = await Promise.all([
    client.list<DeviceClass>(DEVICE_CLASSES),
    owner && client.get<Pod>(PODS, owner.name, namespace).catch((error: unknown) => {
      if (!isReason(error, 'NotFound')) throw error
    }),
    owner ? client.list<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, { namespace }) : undefined,
  ])
  return { classes: classes.items, pod: (_, name) => (pod && pod.metadata.name === name ? pod : undefined), claims: () => claims?.items ?? [] }
}

/** Undefined: the waiter has its answer. */
function tryCheck(input: Parameters<typeof checkRequest>[0], waiter: Waiter): readonly Quota[] | undefined {
  try {
    const checked = checkRequest(input)
    if (checked.ok) return checked.quotas
    waiter.done(checked.refusal)
  } catch (error) {
    waiter.fail(asError(error))
  }
  return undefined
}

/** What the API said to us is what it says to the caller. */
function asStatus(error: unknown): Error {
  return error instanceof ApiError ? new StatusError({ code: error.code, reason: error.reason, message: error.message, ...(error.details !== undefined && { details: error.details as StatusDetails }) }) : asError(error)
}
