/** Devices that have to be made ready once they were given: their drivers tell by conditions, and the pod is not bound before (KEP-5007). Pure. */
import type { AllocatedDeviceStatus, DeviceRequestAllocationResult } from '#api/types/index.ts'
import type { Claim } from './device-lookup.ts'

/** Upstream's DynamicResourcesBindingTimeoutDefault, from the allocation on. */
export const BINDING_MS_MAX = 600_000

/** `failed`: upstream's words. */
export type Readiness = { is: 'ready' } | { is: 'waiting' } | { is: 'failed'; why: string }

const resultsOf = ({ status }: Claim): readonly DeviceRequestAllocationResult[] => status?.allocation?.devices?.results ?? []

export const hasBindingConditions = (claim: Claim): boolean => resultsOf(claim).some((result) => (result.bindingConditions ?? []).length > 0)

export function readinessOf(claim: Claim): Readiness {
  if (!claim.status?.allocation) return { is: 'waiting' }
  const statuses = claim.status.devices ?? []
  let isReady = true
  for (const result of resultsOf(claim)) {
    const { bindingConditions = [], bindingFailureConditions = [] } = result
    if (bindingConditions.length === 0) continue
    const conditions = statuses.find((status) => isOf(status, result))?.conditions ?? []
    const failed = conditions.find((c) => c.status === 'True' && bindingFailureConditions.includes(c.type))
    if (failed) return { is: 'failed', why: `device binding failed: claim=${claim.metadata.name}, reason=${failed.reason}, message=${JSON.stringify(failed.message)}` }
    isReady &&= bindingConditions.every((type) => conditions.some((c) => c.type === type && c.status === 'True'))
  }
  return { is: isReady ? 'ready' : 'waiting' }
}

const isOf = (status: AllocatedDeviceStatus, { driver, pool, device, shareID }: DeviceRequestAllocationResult): boolean => status.driver === driver && status.pool === pool && status.device === device && status.shareID === shareID

/** Time is up for it; undefined: it waits for nothing. */
export function deadlineMs(claim: Claim): number | undefined {
  const since = claim.status?.allocation?.allocationTimestamp
  return since !== undefined && hasBindingConditions(claim) ? Date.parse(since) + BINDING_MS_MAX : undefined
}

/** It will not become ready as it is: its devices are to be given back. */
export function isHopeless(claim: Claim, nowMs: number): boolean {
  const { is } = readinessOf(claim)
  return is === 'failed' || (is === 'waiting' && nowMs > (deadlineMs(claim) ?? Infinity))
}
