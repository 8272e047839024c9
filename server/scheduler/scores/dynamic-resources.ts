/** Prefers nodes on which claims get what they asked for first (`firstAvailable`, KEP-4816). */
import type { AllocationResult, DeviceRequest } from '#api/types/index.ts'
import { nodeClaims } from '../dynamic-resources/node-claims.ts'
import { podClaims } from '../dynamic-resources/pod-claims.ts'
import { scaleToMax, type ScoreRule } from '../rule.ts'

/** Upstream's FirstAvailableDeviceRequestMaxSize. */
const ALTERNATIVES_MAX = 8

export const dynamicResourcesScore: ScoreRule = {
  name: 'DynamicResources',
  weight: 2,
  prepare: (info, { devices: lookup }) => {
    const wanted = lookup && podClaims(info, lookup)
    if (!lookup || !wanted || 'problem' in wanted) return undefined
    // Where it has all, no node is better.
    if (!wanted.waiting.some(({ spec }) => spec.devices?.requests?.some((request) => (request.firstAvailable ?? []).length > 0))) return undefined
    const on = nodeClaims(info, wanted, lookup)
    return (node) => {
      const { claims, allocation } = on(node)
      const given = [...wanted.allocated.map((claim) => ({ claim, result: claim.status?.allocation })), ...claims.map((claim, i) => ({ claim, result: allocation.ok ? allocation.results[i] : undefined }))]
      const taken = given.flatMap(({ claim, result }) => (claim.spec.devices?.requests ?? []).flatMap((request) => takenOf(request, result)))
      return taken.reduce((sum, index) => sum + ALTERNATIVES_MAX - index, 0)
    }
  },
  normalize: (raw) => scaleToMax(raw),
}

/** Which of its alternatives were taken. */
function takenOf({ name, firstAvailable = [] }: DeviceRequest, result: AllocationResult | undefined): number[] {
  return firstAvailable.flatMap((sub, index) => (result?.devices?.results?.some((r) => r.request === `${name}/${sub.name}`) ? [index] : []))
}
