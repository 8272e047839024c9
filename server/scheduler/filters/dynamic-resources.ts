/** Resource claims: devices that they have must be usable on the node, those that they ask for must be free there. */
import { matchesNodeSelector } from '#api/types/node-selector.ts'
import { allocate } from '../dynamic-resources/allocate.ts'
import { devicesInUse } from '../dynamic-resources/in-use.ts'
import { podClaims } from '../dynamic-resources/pod-claims.ts'
import { poolsOf } from '../dynamic-resources/pools.ts'
import { FITS, type FilterRule } from '../rule.ts'

export const dynamicResources: FilterRule = {
  name: 'DynamicResources',
  prepare: ({ pod }, { devices: lookup }) => {
    const wanted = lookup && podClaims(pod, lookup)
    if (!lookup || !wanted) return undefined
    if ('problem' in wanted) {
      const unfit = [{ reason: wanted.problem, unresolvable: true, ofPod: true }]
      return () => unfit
    }
    const selectors = wanted.allocated.flatMap((claim) => claim.status?.allocation?.nodeSelector ?? [])
    const inUse = devicesInUse(lookup)
    const pools = poolsOf(lookup.slices())
    return ({ node }) => {
      if (!selectors.every((selector) => matchesNodeSelector(selector, node))) return [{ reason: 'resourceclaim not available on the node', unresolvable: true }]
      if (wanted.waiting.length === 0) return FITS
      const found = allocate({ node, claims: wanted.waiting, pools, inUse, lookup, newShareId: () => '' })
      return found.ok ? FITS : [{ reason: found.message, unresolvable: true }]
    }
  },
}
