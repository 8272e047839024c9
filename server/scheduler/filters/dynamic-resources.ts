/** Resource claims: devices that they have must be usable on the node, those that they ask for must be free there; so must those of extended resources that the node does not have itself. */
import { matchesNodeSelector } from '#api/types/node-selector.ts'
import { isHopeless } from '../dynamic-resources/binding-conditions.ts'
import { nodeClaims } from '../dynamic-resources/node-claims.ts'
import { podClaims } from '../dynamic-resources/pod-claims.ts'
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
    // It is taken away first (PostFilter).
    if (wanted.extended?.leftover) return () => [{ reason: 'cannot schedule extended resource claim', unresolvable: true }]
    // Devices that do not become ready are given back first.
    if (wanted.allocated.some((claim) => isHopeless(claim, lookup.nowMs()))) return () => [UNAVAILABLE]
    const selectors = wanted.allocated.flatMap((claim) => claim.status?.allocation?.nodeSelector ?? [])
    const claimsOn = nodeClaims(info, wanted, lookup)
    return (on) => {
      if (!selectors.every((selector) => matchesNodeSelector(selector, on.node))) return [UNAVAILABLE]
      const { allocation } = claimsOn(on)
      return allocation.ok ? FITS : [{ reason: allocation.message, unresolvable: true, ...(allocation.isError && { ofPod: true, isError: true }) }]
    }
  },
}
