/** Resource claims: devices that they have must be usable on the node, those that they ask for must be free there; so must those of extended resources that the node does not have itself. */
import { matchesNodeSelector } from '#api/types/node-selector.ts'
import { allocate } from '../dynamic-resources/allocate.ts'
import { isHopeless } from '../dynamic-resources/binding-conditions.ts'
import { claimToMake, extendedClaim } from '../dynamic-resources/extended-resources.ts'
import { devicesInUse } from '../dynamic-resources/in-use.ts'
import { podClaims } from '../dynamic-resources/pod-claims.ts'
import { poolsOf } from '../dynamic-resources/pools.ts'
import { FITS, type FilterRule } from '../rule.ts'

const UNAVAILABLE = { reason: 'resourceclaim not available on the node', unresolvable: true }

export const dynamicResources: FilterRule = {
  name: 'DynamicResources',
  prepare: (info, { devices: lookup }) => {
    const wanted = lookup && podClaims(info, lookup)
    if (!lookup || !wanted) return undefined
    if ('problem' in wanted) {
      const unfit = [{ reason: wanted.problem, unresolvable: true, ofPod: true }]
      return () => unfit
    }
    const { extended } = wanted
    // It is taken away first (PostFilter).
    if (extended?.leftover) return () => [{ reason: 'cannot schedule extended resource claim', unresolvable: true }]
    // Devices that do not become ready are given back first.
    if (wanted.allocated.some((claim) => isHopeless(claim, lookup.nowMs()))) return () => [UNAVAILABLE]
    const selectors = wanted.allocated.flatMap((claim) => claim.status?.allocation?.nodeSelector ?? [])
    const inUse = devicesInUse(lookup)
    const pools = poolsOf(lookup.slices())
    return (on) => {
      const { node } = on
      if (!selectors.every((selector) => matchesNodeSelector(selector, node))) return [UNAVAILABLE]
      const made = extended && extendedClaim(info.pod, on, extended)
      const claims = made ? [...wanted.waiting, claimToMake(info.pod, made.spec, '')] : wanted.waiting
      if (claims.length === 0) return FITS
      const found = allocate({ node, claims, pools, inUse, lookup, newShareId: () => '' })
      return found.ok ? FITS : [{ reason: found.message, unresolvable: true }]
    }
  },
}
